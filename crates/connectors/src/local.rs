//! The password database: `staticPasswords`, signed in to with an e-mail address and a bcrypt hash (dex.md 3.1).
//!
//! An unknown address, an empty or too long password and a wrong one all end alike and cost the same. bcrypt runs on
//! threads of its own, behind a bounded queue in which no name has more than a few places ([`checks`]).

mod checks;
mod row;

use std::collections::HashMap;
use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use config::{Environment, Fields};
use provider::connector::{
    Connector, Flow, Hints, Identity, Opened, PasswordFlow, Refresh, SignedIn, SubjectAudiences,
    UpstreamError,
};

use checks::Checks;
use row::Row;

/// The id of the connector, as in Dex.
pub(crate) const ID: &str = "local";

struct Local {
    rows: HashMap<String, Row>,
    /// The cost of the costliest row.
    most: u32,
    checks: Checks,
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
        let most = rows.values().map(|row| row.cost).max().unwrap_or(row::LEAST_COST);
        Self { rows, most, checks: Checks::default() }
    }

    fn row(&self, email: &str) -> Option<&Row> {
        self.rows.get(&folded(email))
    }
}

impl Connector for Local {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }

    fn is_written_down(&self) -> bool {
        true
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
            let (hash, cost) = row
                .map_or_else(|| (checks::nobody(self.most), self.most), |row| (row.hash.clone(), row.cost));
            let costs = (cost, self.most);
            let bcrypt = |password: &str, hash: &str| bcrypt::verify(password, hash).unwrap_or(false);
            let work = move || checks::compare(&password, &hash, costs, bcrypt);
            let good = self.checks.run(folded(name), work).await?;
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
