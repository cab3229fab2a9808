//! Browsers that somebody has signed in with before, by a cookie. Whoever guesses at a name from the same address as its
//! owner, behind the same proxy, runs the address's tries dry, but not those of the owner's browser: nobody locks anybody
//! out. The cookie opens nothing; it has tries of its own, for the names that were right in it, at the connector where they
//! were: whoever has an account of that name elsewhere has proved nothing here.

use ambient::{Random, RandomExt as _};
use aws_lc_rs::digest::{SHA256, digest};
use wire::b64;

use super::CookieChange;
use super::attempt::{Cookies, path};
use crate::likeness::likeness;
use crate::settings::Settings;

type Part = [u8; 16];

/// A connector, and a name there.
type Account<'a> = (&'a str, &'a str);

impl Cookies {
    /// What this browser's tries at that name are charged to, if it is known for it.
    pub(super) fn known(&self, header: Option<&str>, account: Account<'_>) -> Option<String> {
        let (id, accounts) = self.read_known(header)?;
        accounts.contains(&hashed(account)).then(|| b64::encode(id))
    }

    /// The cookie of a browser that was right about a name.
    pub(super) fn remember(
        &self,
        random: &dyn Random,
        settings: &Settings,
        header: Option<&str>,
        account: Account<'_>,
    ) -> Option<CookieChange> {
        let (id, mut accounts) = self.read_known(header).unwrap_or_else(|| (random.bytes(), Vec::new()));
        let account = hashed(account);
        accounts.retain(|known| *known != account);
        accounts.insert(0, account);
        accounts.truncate(MOST);
        let plain = std::iter::once(id).chain(accounts).flatten().collect();
        let sealed = self.sealing().seal(random, CONTEXT, plain)?;
        Some(CookieChange {
            name: NAME.to_owned(),
            value: Some(b64::encode(sealed)),
            max_age: LIVES,
            path: path(settings),
            secure: settings.issuer.is_https(),
        })
    }

    fn read_known(&self, header: Option<&str>) -> Option<(Part, Vec<Part>)> {
        let pairs = header?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let raw = pairs.filter(|(name, _)| *name == NAME).map(|(_, raw)| raw).next()?;
        let plain = self.sealing().open(CONTEXT, &b64::decode(raw)?)?;
        let (parts, rest) = plain.as_chunks::<16>();
        let (id, accounts) = parts.split_first()?;
        rest.is_empty().then(|| (*id, accounts.to_vec()))
    }
}

/// Names are hashed so that the cookie has one length each.
fn hashed((connector, name): Account<'_>) -> Part {
    let digest = digest(&SHA256, format!("{connector}\0{}", likeness(name)).as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

const NAME: &str = "obol_known";
const CONTEXT: &[u8] = b"known";
/// Of one browser.
const MOST: usize = 8;
/// Half a year.
const LIVES: i64 = 180 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use ambient::{Secret, SystemRandom};
    use config::{Environment, Faults, KeyStyle};

    fn cookies(byte: u8) -> Cookies {
        Cookies::new(&Secret::new(vec![byte; 32])).unwrap()
    }

    fn settings() -> Settings {
        let faults = Faults::new();
        let section = config::parse("issuer: https://obol.example/dex", &faults).unwrap();
        Settings::read(&mut section.fields(KeyStyle::Dex, &faults), &Environment::default()).unwrap()
    }

    fn remembered(held: Option<&str>, account: &str) -> String {
        let change = cookies(1).remember(&SystemRandom, &settings(), held, ("up", account)).unwrap();
        format!("other=x; {}={}", change.name, change.value.unwrap())
    }

    #[test]
    fn a_browser_is_known_for_the_names_that_were_right_in_it() {
        let both = remembered(Some(&remembered(None, "Ana")), "ben");
        let known = |name: &str| cookies(1).known(Some(&both), ("up", name));
        assert!(known("ana").is_some() && known("ana") == known("BEN"), "one browser, one account of tries");
        assert_eq!((known("cleo"), known("")), (None, None));
        assert_eq!(cookies(1).known(Some(&both), ("other", "ana")), None, "another one's Ana");
        assert_eq!(cookies(2).known(Some(&both), ("up", "ana")), None, "sealed by somebody else");
        for cut in 1..both.len() {
            assert_eq!(cookies(1).known(both.get(..cut), ("up", "ana")), None);
        }
        let many = (0..20).fold(both, |held, n| remembered(Some(&held), &format!("n{n}")));
        let known = |name: &str| cookies(1).known(Some(&many), ("up", name)).is_some();
        assert!(known("n19") && !known("ana"));
        assert!(many.len() < 300, "{}", many.len());
    }
}
