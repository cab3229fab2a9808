//! `signer` (dex.md 2.2).

use std::time::Duration;

use config::{Environment, Fields, KeyStyle};
use token::Alg;

/// Signing keys.
#[derive(Debug, Clone, Copy)]
pub struct Signing {
    /// How long a key signs.
    pub rotation: Duration,
    /// What a client gets that names no algorithm.
    pub default_alg: Alg,
}

impl Signing {
    /// Keys of these algorithms exist at all times.
    pub const ALGS: [Alg; 2] = [Alg::Rs256, Alg::Es256];

    pub(super) fn read(root: &mut Fields<'_>, environment: &Environment, without_signer: Duration) -> Self {
        let plain = Self { rotation: without_signer, default_alg: Alg::Rs256 };
        let Some(mut fields) = root.optional_group("signer") else { return plain };
        let kind: Option<&str> = fields.one_of("type", &[("local", "local"), ("vault", "vault")]);
        let section = fields.section("config").expanded(environment);
        fields.finish();
        if kind == Some("vault") {
            root.unfit("signer", "the vault signer is not there yet; write type: local");
            return plain;
        }
        let mut local = section.fields(KeyStyle::Dex, root.faults());
        let signing = Self {
            rotation: local.required("keysRotationPeriod").unwrap_or(without_signer),
            default_alg: local
                .one_of("algorithm", &[("RS256", Alg::Rs256), ("ES256", Alg::Es256)])
                .unwrap_or(Alg::Rs256),
        };
        if signing.rotation < Duration::from_secs(60) {
            local.unfit("keysRotationPeriod", "write at least 1m");
        }
        local.finish();
        signing
    }
}
