//! `keystone`: OpenStack's identity service, with Dex's keys (dex.md 3.13).
//!
//! A refused password is a refused password (weakness K7), and at a refresh the user must be there and enabled.

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use config::{Fields, KeyStyle};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use outbound::{Answer, Client, Request, Trust};
use provider::connector::{
    Connector, Flow, Hints, Identity, PasswordFlow, Refresh, SignedIn, SubjectAudiences, UpstreamError,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::oauth2::{self, of_status, parsed};
use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "keystone", keys: KeyStyle::Dex, read, file: file!() };

struct Keystone {
    base: Url,
    client: Client,
    /// `{"id": …}` or `{"name": …}`
    domain: Value,
    admin: String,
    admin_password: Secret<String>,
    email_verified: bool,
}

#[derive(Deserialize)]
struct Issued {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Holder,
}

#[derive(Deserialize)]
struct Holder {
    id: String,
}

#[derive(Deserialize)]
struct Found {
    user: User,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    email: Option<String>,
    #[serde(default = "enabled")]
    enabled: bool,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
}

const fn enabled() -> bool {
    true
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let is_written = fields.has_text("keystoneHost");
    let base = oauth2::base(fields, "keystoneHost", "https://localhost");
    if !is_written {
        fields.missing("keystoneHost", "write where Keystone is: https://host:5000");
    }
    let domain: String = fields.or_default("domain");
    let admin: Option<String> = fields.required("keystoneUsername");
    let password: Option<Secret<String>> = fields.required("keystonePassword");
    let email_verified = fields.or("emailVerified", false);
    let client = oauth2::client(fields, given, Trust::default());
    let connector = Keystone {
        base: base.filter(|_| is_written)?,
        client: client?,
        domain: named(&domain),
        admin: admin?,
        admin_password: password?,
        email_verified,
    };
    Some(Built { connector: Arc::new(connector), audiences: SubjectAudiences::AnyOf(Arc::from([])) })
}

/// A UUID and `default` are ids of domains, everything else is a name.
fn named(domain: &str) -> Value {
    let hexadecimal = domain.chars().filter(|c| *c != '-');
    let is_id = domain.is_empty()
        || domain == "default"
        || hexadecimal.clone().count() == 32 && hexadecimal.clone().all(|c| c.is_ascii_hexdigit());
    match (is_id, domain) {
        (true, "") => json!({"id": "default"}),
        (true, id) => json!({"id": id}),
        (false, name) => json!({"name": name}),
    }
}

impl Keystone {
    /// A token for a name and a password, and whose it is; `None`: they are wrong.
    async fn token(
        &self,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Option<(Secret<String>, String)>, UpstreamError> {
        let url = self.at("v3/auth/tokens/")?;
        let user = json!({"name": name, "domain": self.domain, "password": password.expose()});
        let ask = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
        let body = Secret::new(ask.to_string());
        let sent = self.client.send(Request::json(&url, body.expose().clone())).await;
        let answer = sent.map_err(|why| UpstreamError::Unavailable(why.to_string()))?;
        match answer.status {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => return Ok(None),
            _ => return Err(of_status(&answer, "Keystone")),
        }
        let issued: Issued = parsed(&answer, &url)?;
        let token = answer.headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        let token = token.ok_or_else(|| UpstreamError::Invalid("Keystone gave no token".into()))?;
        Ok(Some((Secret::from(token), issued.token.user.id)))
    }

    async fn identity(
        &self,
        token: &Secret<String>,
        id: &str,
        name: &str,
        scopes: Hints,
    ) -> Result<Identity, UpstreamError> {
        // It goes into a path.
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(UpstreamError::Invalid("the id of the user is none".into()));
        }
        let found: Found = self.get(token, &format!("v3/users/{id}")).await?;
        let User { email, enabled } = found.user;
        if !enabled {
            return Err(UpstreamError::Denied(format!("{name:?} is not enabled")));
        }
        let groups = if scopes.groups {
            let found: Groups = self.get(token, &format!("v3/users/{id}/groups")).await?;
            found.groups.into_iter().map(|group| group.name).collect()
        } else {
            Vec::new()
        };
        let email = email.unwrap_or_default();
        Ok(Identity {
            user_id: id.to_owned(),
            username: name.to_owned(),
            preferred_username: String::new(),
            email_verified: self.email_verified && !email.is_empty(),
            email,
            groups,
        })
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        token: &Secret<String>,
        path: &str,
    ) -> Result<T, UpstreamError> {
        let url = self.at(path)?;
        let mut value = HeaderValue::try_from(token.expose().as_str())
            .map_err(|_| UpstreamError::Invalid("Keystone's token does not fit into a header".into()))?;
        value.set_sensitive(true);
        let request = Request::get(&url).header(HeaderName::from_static("x-auth-token"), value);
        let answer: Answer =
            self.client.send(request).await.map_err(|why| UpstreamError::Unavailable(why.to_string()))?;
        match answer.status {
            StatusCode::OK => parsed(&answer, &url),
            StatusCode::NOT_FOUND => Err(UpstreamError::Denied("Keystone knows no such user".into())),
            // The token is fresh: it is not about the user.
            StatusCode::UNAUTHORIZED => Err(UpstreamError::Invalid("Keystone refuses its own token".into())),
            _ => Err(of_status(&answer, "Keystone")),
        }
    }

    fn at(&self, path: &str) -> Result<Url, UpstreamError> {
        self.base.join(path).map_err(|_| UpstreamError::Invalid("Keystone has no such place".into()))
    }
}

impl Connector for Keystone {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }
}

impl PasswordFlow for Keystone {
    fn prompt(&self) -> &str {
        "username"
    }

    fn login<'a>(
        &'a self,
        scopes: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        Box::pin(async move {
            if name.is_empty() || password.expose().is_empty() {
                return Ok(None);
            }
            let Some((token, id)) = self.token(name, password).await? else { return Ok(None) };
            let identity = self.identity(&token, &id, name, scopes).await?;
            Ok(Some(SignedIn { identity, kept: Secret::default() }))
        })
    }
}

impl Refresh for Keystone {
    /// Nobody types a password now: the configured user asks.
    fn refresh<'a>(
        &'a self,
        scopes: Hints,
        known: &'a Identity,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let admin = self.token(&self.admin, &self.admin_password).await?;
            let (token, _) = admin.ok_or_else(|| {
                UpstreamError::Unavailable("Keystone refuses keystoneUsername and keystonePassword".into())
            })?;
            let identity = self.identity(&token, &known.user_id, &known.username, scopes).await?;
            Ok(SignedIn { identity, kept: Secret::default() })
        })
    }
}
