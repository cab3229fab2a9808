//! The contract of `provider::connector` as a test, by what a connector can do. [`entrance`] is for every connector; the
//! suite here is for those that vouch by an issuer's keys. The issuer is one of [`crate::issuer`], so that it can misbehave.

pub mod entrance;
mod keys;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock as _, Tasks};
use provider::connector::{Opened, Presented, VouchError, Vouched};
use serde_json::Value;
use token::UnverifiedJwt;
use wire::oauth::TokenType;

use crate::issuer::{Issuer, Mint};
use crate::{FakeClock, issuer::TestKey};

/// A connector and the issuer that it trusts.
pub struct Vouching {
    /// The connector.
    pub opened: Opened,
    /// Its issuer, whose clock is `clock`.
    pub issuer: Issuer,
    /// The connector's clock.
    pub clock: FakeClock,
    /// Claims of a token that it vouches for; `iss`, `iat` and `exp` are the issuer's.
    pub claims: Value,
    /// Whom it then says that is.
    pub user_id: String,
}

/// Makes a fresh connector with a fresh issuer.
pub trait Site: Send + Sync + 'static {
    /// Called once per case.
    fn open(&self) -> BoxFuture<'_, Vouching>;
}

/// Runs every case, each on a connector of its own, and says which ones failed.
pub async fn run_all(site: impl Site) {
    let site: Arc<dyn Site> = Arc::new(site);
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let site = Arc::clone(&site);
        let run = async move { tokio::time::timeout(HANGS, async { case(site.open().await).await }).await };
        match Tasks::default().finish(run).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name} (hangs)")),
            Err(_) => failed.push((*name).to_owned()),
        }
    }
    assert!(failed.is_empty(), "the connector breaks its contract: {}", failed.join(", "));
}

type Case = fn(Vouching) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($case)), |site| Box::pin($module::$case(site)))),+),+]
    };
}

const CASES: &[(&str, Case)] = cases! {
    tokens: a_good_token_passes_with_its_claims, a_token_bound_to_a_key_says_so, a_tampered_token_is_refused,
        attack_01_no_algorithm_but_the_keys_own, attack_03_keys_in_headers_are_not_used, attack_06_times_are_kept,
        attack_08_issuers_are_compared_byte_for_byte, attack_09_tokens_of_other_kinds_are_refused;
    keys: attack_13_a_new_key_is_found_and_an_unknown_one_refused, attack_13_a_flood_of_unknown_keys_causes_few_requests,
        attack_13_a_removed_key_ends_within_an_hour, attack_14_an_outage_is_no_verdict_and_ends,
        attack_12_documents_of_other_issuers_give_no_keys;
};

impl Vouching {
    /// A token that is good until somebody changes it.
    pub fn good(&self) -> Mint {
        self.issuer.token(self.claims.clone())
    }

    /// What the connector says of a token.
    ///
    /// # Errors
    /// The connector's.
    pub async fn vouch(&self, raw: &str) -> Result<Vouched, VouchError> {
        let presented =
            Presented { kind: TokenType::IdToken, raw, unverified: UnverifiedJwt::parse(raw).ok() };
        let seam = self.opened.connector.subject().unwrap();
        let said = seam.vouch(presented, self.clock.now()).await;
        if let Err(why) = &said {
            let why = why.to_string();
            let parts = raw.split('.').filter(|part| part.len() > 20);
            for part in parts {
                assert!(!why.contains(part), "the reason holds a part of the token: {why}");
            }
        }
        said
    }

    async fn accepted(&self, raw: &str) -> Vouched {
        self.vouch(raw).await.unwrap_or_else(|why| panic!("a good token is refused: {why}"))
    }

    async fn refused(&self, raw: &str, what: &str) -> String {
        match self.vouch(raw).await {
            Err(VouchError::Rejected(why)) => why,
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// A key that nobody published.
fn foreign(site: &Vouching, kid: &str) -> Arc<TestKey> {
    Arc::new(TestKey::generate(site.issuer.signing_key().algorithm(), kid))
}

/// A case that takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);
