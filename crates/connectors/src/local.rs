//! The password database: `staticPasswords`, signed in to with an e-mail address and a bcrypt hash (dex.md 3.1).
//!
//! An unknown address, an empty or too long password and a wrong one all end alike and cost one bcrypt. bcrypt runs on
//! a thread of its own behind a bounded queue: it takes too long for the threads that serve, and tokio's blocking pool
//! is shared with everything else.

mod row;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ambient::{BoxFuture, Secret};
use bcrypt::BcryptError;
use config::{Environment, Fields};
use provider::connector::{
    Connector, Flow, Hints, Identity, Opened, PasswordFlow, Refresh, SignedIn, SubjectAudiences,
    UpstreamError,
};
use token::{SignError, SigningPool};

use row::Row;

/// The id of the connector, as in Dex.
pub(crate) const ID: &str = "local";

struct Local {
    rows: HashMap<String, Row>,
    /// A well-formed hash that nothing hashes to, as costly as the costliest row.
    nobody: Secret<String>,
    /// Started at the first try: most processes check no passwords.
    pool: Mutex<Option<SigningPool>>,
}

/// Reads `enablePasswordDB` and `staticPasswords`.
pub(crate) fn read(root: &mut Fields<'_>, environment: &Environment) -> Option<Opened> {
    let enabled = root.or("enablePasswordDB", false);
    let elements = root.elements("staticPasswords");
    let mut rows = HashMap::with_capacity(elements.len());
    for element in &elements {
        let Some(row) = Row::read(element, environment) else { continue };
        let key = folded(&row.email);
        if rows.insert(key, row).is_some() {
            element.error("has the e-mail address of another row", "remove one; case makes no difference");
        }
    }
    if !enabled {
        if let Some(first) = elements.first() {
            first.error("has no effect without the password database", "write enablePasswordDB: true");
        }
        return None;
    }
    Some(Opened {
        id: Arc::from(ID),
        kind: ID,
        name: Arc::from("Email"),
        grant_types: Arc::from([]),
        audiences: SubjectAudiences::AnyOf(Arc::from([])),
        connector: Arc::new(Local::new(rows)),
    })
}

impl Local {
    fn new(rows: HashMap<String, Row>) -> Self {
        let cost = rows.values().map(|row| row.cost).max().unwrap_or(row::LEAST_COST);
        let nobody = Secret::new(format!("$2a${cost:02}${}", ".".repeat(53)));
        Self { rows, nobody, pool: Mutex::default() }
    }

    fn row(&self, email: &str) -> Option<&Row> {
        self.rows.get(&folded(email))
    }

    fn pool(&self) -> Result<SigningPool, UpstreamError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*pool {
            return Ok(running.clone());
        }
        let started = SigningPool::start(THREADS, QUEUED)
            .map_err(|error| UpstreamError::Unavailable(format!("no thread for passwords: {error}")))?;
        Ok(pool.insert(started).clone())
    }

    /// One bcrypt, whatever the outcome.
    async fn check(&self, hash: Secret<String>, password: Secret<String>) -> Result<bool, UpstreamError> {
        let pool = self.pool()?;
        let job = move || bcrypt::verify(password.expose(), hash.expose());
        let outcome: Result<bool, BcryptError> = pool.run(job).await.map_err(|error| match error {
            SignError::Busy => UpstreamError::Busy,
            other => UpstreamError::Unavailable(other.to_string()),
        })?;
        Ok(outcome.unwrap_or(false))
    }
}

impl Connector for Local {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }

    fn knows(&self, user_id: &str) -> bool {
        self.rows.values().any(|row| row.identity.user_id == user_id)
    }
}

impl PasswordFlow for Local {
    fn prompt(&self) -> &str {
        "Email Address"
    }

    fn login<'a>(
        &'a self,
        _: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        Box::pin(async move {
            let possible = !password.expose().is_empty() && password.expose().len() <= LONGEST;
            let row = self.row(name).filter(|_| possible);
            // What bcrypt would cut off is not hashed; the time it takes is.
            let password = if possible { password.clone() } else { Secret::from("-") };
            let hash = row.map_or_else(|| self.nobody.clone(), |row| row.hash.clone());
            let good = self.check(hash, password).await?;
            Ok(row.filter(|_| good).map(signed_in))
        })
    }
}

impl Refresh for Local {
    fn refresh<'a>(
        &'a self,
        _: Hints,
        known: &'a Identity,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        let row = self.row(&known.email).filter(|row| row.identity.user_id == known.user_id);
        Box::pin(async move {
            row.map(signed_in)
                .ok_or_else(|| UpstreamError::Denied("the row is gone or of another userID".into()))
        })
    }
}

fn signed_in(row: &Row) -> SignedIn {
    SignedIn { identity: row.identity.clone(), kept: Secret::default() }
}

fn folded(email: &str) -> String {
    email.to_lowercase()
}

/// bcrypt reads no more; Go's refuses longer ones, others cut them off.
const LONGEST: usize = 72;
const THREADS: usize = 1;
/// At a tenth of a second each, whoever stands further back is not waiting any more.
const QUEUED: usize = 32;
