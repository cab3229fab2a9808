//! What a connector wants back later (an upstream's refresh token, a verifier), inside a sealed record: written there
//! and nowhere else.

use ambient::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Opaque bytes of a connector.
#[derive(Debug, Clone, Default)]
pub struct Kept(Secret<Vec<u8>>);

impl Kept {
    /// For the connector they are of.
    pub const fn expose(&self) -> &Vec<u8> {
        self.0.expose()
    }
}

impl From<Secret<Vec<u8>>> for Kept {
    fn from(bytes: Secret<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.expose().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(|bytes| Self(Secret::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_26_it_is_written_into_records_and_shown_nowhere() {
        let kept = Kept::from(Secret::new(b"canary".to_vec()));
        let stored = serde_json::to_vec(&kept).unwrap();
        let read: Kept = serde_json::from_slice(&stored).unwrap();
        assert_eq!(read.expose(), b"canary");
        assert_eq!(format!("{kept:?}"), "Kept([secret])");
    }
}
