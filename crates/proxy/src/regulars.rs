//! Tokens that passed before: their bearers may come again however many bad tokens their neighbours bring. They are verified as
//! everybody is; what is remembered is a digest, until the token ends or does not pass any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ambient::Time;

use crate::cache::Digest;

/// Two generations bound the size: when the young one is full, it becomes the old one, which is forgotten.
#[derive(Default)]
pub(crate) struct Regulars(Mutex<[HashMap<Digest, Time>; 2]>);

impl Regulars {
    pub(crate) fn knows(&self, token: &Digest, now: Time) -> bool {
        let [young, old] = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        young.get(token).or_else(|| old.get(token)).is_some_and(|ends| now < *ends)
    }

    /// Remembers a token that passed.
    pub(crate) fn remember(&self, token: Digest, ends: Time) {
        let [young, old] = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if young.len() >= MOST && !young.contains_key(&token) {
            *old = std::mem::take(young);
        }
        young.insert(token, ends);
    }

    /// Forgets one that does not pass any more.
    pub(crate) fn forget(&self, token: &Digest) {
        for generation in &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            generation.remove(token);
        }
    }
}

/// Tokens a generation.
const MOST: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_until_it_ends_or_fails_and_the_size_is_bounded() {
        let regulars = Regulars::default();
        let [now, later] = [1, 2].map(Time::from_unix);
        for i in 0..MOST * 3 {
            regulars.remember(Digest::of(&format!("token {i}")), later);
        }
        let [young, old] = &*regulars.0.lock().unwrap();
        assert!(young.len() <= MOST && old.len() <= MOST);
        let last = Digest::of(&format!("token {}", MOST * 3 - 1));
        assert!(young.contains_key(&last));
        let regulars = Regulars::default();
        regulars.remember(last, later);
        assert!(regulars.knows(&last, now) && !regulars.knows(&last, later));
        regulars.forget(&last);
        assert!(!regulars.knows(&last, now));
    }
}
