//! `atlassian-crowd`: Crowd's user directory, with Dex's keys (dex.md 3.13).
//!
//! `groups` restricts at every login and refresh, whatever scopes a client wants (weakness K2); who is not active does not come
//! in, and a name goes into a query as a value (weakness K11).

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Fields, KeyStyle};
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use outbound::{Answer, Client, Request, Trust};
use provider::connector::{
    Connector, Flow, Hints, Identity, PasswordFlow, Refresh, SignedIn, SubjectAudiences, UpstreamError,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::oauth2::{self, of_status, parsed};
use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "atlassian-crowd", keys: KeyStyle::Dex, read, file: file!() };

struct Crowd {
    base: Url,
    client: Client,
    basic: HeaderValue,
    allowed: Vec<String>,
    preferred_username: Preferred,
    prompt: String,
    email_verified: bool,
}

/// What `preferred_username` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preferred {
    None,
    Key,
    Name,
    Email,
}

#[derive(Deserialize)]
struct User {
    key: String,
    name: String,
    #[serde(default)]
    email: String,
    active: bool,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
}

/// What is kept for a refresh, in Dex's form.
#[derive(Serialize, Deserialize)]
struct Kept {
    username: String,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    fields.restricting(&["groups"]);
    let is_written = fields.has_text("baseURL");
    let base = oauth2::base(fields, "baseURL", "https://localhost");
    if !is_written {
        fields.missing("baseURL", "write where Crowd is");
    }
    let id: Option<String> = fields.required("clientID");
    let secret: Option<Secret<String>> = fields.required("clientSecret");
    let allowed = fields.or_default("groups");
    let words = [("key", Preferred::Key), ("name", Preferred::Name), ("email", Preferred::Email)];
    let preferred_username = fields.one_of("preferredUsernameField", &words).unwrap_or(Preferred::None);
    let prompt: String = fields.or_default("usernamePrompt");
    let email_verified = fields.or("emailVerified", false);
    let client = oauth2::client(fields, given, Trust::default());
    let pair = Secret::new(format!("{}:{}", id?, secret?.expose()));
    let mut basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.expose()))).ok()?;
    basic.set_sensitive(true);
    let connector = Crowd {
        base: base.filter(|_| is_written)?,
        client: client?,
        basic,
        allowed,
        preferred_username,
        prompt: if prompt.is_empty() { String::from("Username") } else { prompt },
        email_verified,
    };
    Some(Built { connector: Arc::new(connector), audiences: SubjectAudiences::AnyOf(Arc::from([])) })
}

impl Crowd {
    /// Whether Crowd takes a password. It begins a session of its own by that, as with Dex.
    async fn check(&self, name: &str, password: &Secret<String>) -> Result<bool, UpstreamError> {
        #[derive(Deserialize)]
        struct Refused {
            reason: String,
        }
        let url = self.at("session", None)?;
        let body = Secret::new(json!({"username": name, "password": password.expose()}).to_string());
        let answer = self.send(Request::json(&url, body.expose().clone())).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(true);
        }
        let refused: Option<Refused> = serde_json::from_slice(&answer.body).ok();
        match refused.as_ref().map(|refused| refused.reason.as_str()) {
            Some(
                "INVALID_USER_AUTHENTICATION" | "USER_NOT_FOUND" | "INACTIVE_ACCOUNT" | "EXPIRED_CREDENTIAL",
            ) => Ok(false),
            // A 401 is about us: the application's own password is wrong.
            _ if answer.status == StatusCode::UNAUTHORIZED => {
                Err(UpstreamError::Unavailable("Crowd does not know clientID and clientSecret".into()))
            }
            _ => Err(of_status(&answer, "Crowd")),
        }
    }

    /// Who that is by now; `None`: nobody who may be somebody here.
    async fn identity(&self, name: &str, scopes: Hints) -> Result<Identity, UpstreamError> {
        let user: User = self.get("user", name).await?;
        if !user.active {
            return Err(UpstreamError::Denied(format!("the account of {:?} is not active", user.name)));
        }
        let groups = self.groups(name, scopes).await?;
        let preferred = match self.preferred_username {
            Preferred::None => "",
            Preferred::Key => &user.key,
            Preferred::Name => &user.name,
            Preferred::Email => &user.email,
        };
        Ok(Identity {
            preferred_username: preferred.to_owned(),
            user_id: user.key,
            username: user.name,
            email_verified: self.email_verified && !user.email.is_empty(),
            email: user.email,
            groups,
        })
    }

    async fn groups(&self, name: &str, scopes: Hints) -> Result<Vec<String>, UpstreamError> {
        if !scopes.groups && self.allowed.is_empty() {
            return Ok(Vec::new());
        }
        let found: Groups = self.get("user/group/nested", name).await?;
        let found = found.groups.into_iter().map(|group| group.name);
        if self.allowed.is_empty() {
            return Ok(found.collect());
        }
        let own: Vec<String> = found.filter(|group| self.allowed.contains(group)).collect();
        if own.is_empty() {
            return Err(UpstreamError::Denied("the user is in none of the groups that may come in".into()));
        }
        Ok(own)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str, name: &str) -> Result<T, UpstreamError> {
        let url = self.at(path, Some(name))?;
        let answer = self.send(Request::get(&url)).await?;
        match answer.status {
            StatusCode::OK => parsed(&answer, &url),
            StatusCode::NOT_FOUND => Err(UpstreamError::Denied("Crowd knows no such user".into())),
            StatusCode::UNAUTHORIZED => {
                Err(UpstreamError::Unavailable("Crowd does not know clientID and clientSecret".into()))
            }
            _ => Err(of_status(&answer, "Crowd")),
        }
    }

    async fn send(&self, request: Request<'_>) -> Result<Answer, UpstreamError> {
        let request = request
            .header(AUTHORIZATION, self.basic.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        self.client.send(request).await.map_err(|why| UpstreamError::Unavailable(why.to_string()))
    }

    fn at(&self, path: &str, name: Option<&str>) -> Result<Url, UpstreamError> {
        let nowhere = |_| UpstreamError::Invalid("Crowd has no such place".into());
        let mut url = self.base.join(&format!("rest/usermanagement/1/{path}")).map_err(nowhere)?;
        if let Some(name) = name {
            url.query_pairs_mut().append_pair("username", name);
        }
        Ok(url)
    }
}

impl Connector for Crowd {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }
}

impl PasswordFlow for Crowd {
    fn prompt(&self) -> &str {
        &self.prompt
    }

    fn login<'a>(
        &'a self,
        scopes: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        Box::pin(async move {
            if name.is_empty() || password.expose().is_empty() || !self.check(name, password).await? {
                return Ok(None);
            }
            let identity = self.identity(name, scopes).await?;
            let kept = Kept { username: name.to_owned() };
            let kept = serde_json::to_vec(&kept).map_err(|why| UpstreamError::Invalid(why.to_string()))?;
            let kept = if scopes.offline { Secret::new(kept) } else { Secret::default() };
            Ok(Some(SignedIn { identity, kept }))
        })
    }
}

impl Refresh for Crowd {
    fn refresh<'a>(
        &'a self,
        scopes: Hints,
        known: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let before: Kept = serde_json::from_slice(kept)
                .map_err(|_| UpstreamError::Denied("nothing was kept to look the user up by".into()))?;
            let identity = self.identity(&before.username, scopes).await?;
            SignedIn { identity, kept: Secret::new(kept.to_vec()) }.about(known)
        })
    }
}
