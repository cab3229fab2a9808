//! The keys of `config` that say who the upstream is and how it is talked to.

use ambient::Secret;
use config::{Fields, HttpUrl};
use url::Url;

use crate::Given;
use crate::oauth2::Callback;

pub(super) struct Settings {
    pub(super) issuer: String,
    /// Another name that its documents and tokens may bear.
    pub(super) issuer_alias: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret<String>>,
    pub(super) callback: Callback,
    /// Further audiences of subject tokens.
    pub(super) audiences: Vec<String>,
    pub(super) overrides: Overrides,
    /// Send the secret in the body.
    pub(super) basic_auth_unsupported: bool,
    pub(super) scopes: Vec<String>,
    pub(super) acr_values: Vec<String>,
    /// `prompt` of a login that asks for a refresh token.
    pub(super) prompt: String,
    pub(super) pkce: Pkce,
    pub(super) userinfo: bool,
    /// Exchange access tokens whose audience nobody knows.
    pub(super) unsafe_exchange: bool,
}

/// URLs that stand in the place of what discovery says.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) token: Option<Url>,
    pub(super) authorization: Option<Url>,
    pub(super) jwks: Option<Url>,
    pub(super) userinfo: Option<Url>,
}

/// When a code challenge is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pkce {
    /// If the upstream says that it knows S256.
    IfKnown,
    /// Always.
    Always,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        let issuer: Option<HttpUrl> = fields.required("issuer");
        let issuer_alias: Option<HttpUrl> = fields.optional("issuerAlias");
        let okta = issuer.as_ref().is_some_and(is_okta);
        let scopes: Option<Vec<String>> = fields.optional("scopes");
        let callback = Callback::read(fields, given);
        refuse_hosted_domains(fields);
        if issuer.as_ref().is_some_and(|issuer| issuer.url().scheme() == "http") {
            fields.warning(
                "talks to its issuer by http: anybody on the way can sign in as anybody",
                "use https",
            );
        }
        let settings = Self {
            issuer: issuer.as_ref().map(|issuer| issuer.as_str().to_owned()).unwrap_or_default(),
            issuer_alias: issuer_alias.map(|alias| alias.as_str().to_owned()),
            client_id: fields.optional("clientID").filter(|id: &String| !id.is_empty()),
            client_secret: fields
                .optional("clientSecret")
                .filter(|secret: &Secret<String>| !secret.expose().is_empty()),
            callback,
            audiences: fields.or_default("audiences"),
            overrides: Overrides::read(fields),
            basic_auth_unsupported: fields.or("basicAuthUnsupported", okta),
            scopes: scopes
                .filter(|scopes| !scopes.is_empty())
                .unwrap_or_else(|| DEFAULT_SCOPES.map(String::from).to_vec()),
            acr_values: fields.or_default("acrValues"),
            prompt: fields.or("promptType", String::from("consent")),
            pkce: pkce(fields),
            userinfo: fields.or("getUserInfo", false),
            unsafe_exchange: fields.or("unsafeDexExchange", false),
        };
        if settings.unsafe_exchange {
            let what = "exchanges access tokens without knowing whom they were meant for";
            fields.warning(what, "remove unsafeDexExchange");
        }
        issuer.map(|_| settings)
    }

    /// Whether this scope is asked for.
    pub(super) fn asks_for(&self, scope: &str) -> bool {
        self.scopes.iter().any(|known| known == scope)
    }
}

impl Overrides {
    fn read(fields: &mut Fields<'_>) -> Self {
        let Some(mut group) = fields.optional_group("providerDiscoveryOverrides") else {
            return Self::default();
        };
        let mut url = |key| group.optional::<HttpUrl>(key).map(|url| url.url().clone());
        let overrides = Self {
            token: url("tokenURL"),
            authorization: url("authURL"),
            jwks: url("jwksURL"),
            userinfo: url("userInfoURL"),
        };
        group.unsupported(&["deviceAuthURL", "endSessionURL"]);
        group.finish();
        overrides
    }
}

/// Weakness K1: what Dex calls `plain` puts the verifier itself into the browser's URL.
fn pkce(fields: &mut Fields<'_>) -> Pkce {
    let word: String = fields.or_default("pkceChallenge");
    match word.as_str() {
        "" => Pkce::IfKnown,
        "S256" => Pkce::Always,
        "plain" => {
            let what =
                "has pkceChallenge: plain, which protects nothing; S256 is used if the upstream knows it";
            fields.warning(what, "write S256");
            Pkce::IfKnown
        }
        _ => {
            fields.error(format!("has pkceChallenge: {word:?}"), "write S256, or leave it out");
            Pkce::IfKnown
        }
    }
}

fn refuse_hosted_domains(fields: &mut Fields<'_>) {
    let domains: Option<Vec<String>> = fields.optional("hostedDomains");
    if domains.is_some_and(|domains| !domains.is_empty()) {
        fields.error("has hostedDomains, which only the google connector knows", "remove it");
    }
}

fn is_okta(issuer: &HttpUrl) -> bool {
    let host = issuer.url().host_str().unwrap_or_default();
    ["okta.com", "oktapreview.com"]
        .into_iter()
        .any(|okta| host.strip_suffix(okta).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

const DEFAULT_SCOPES: [&str; 2] = ["profile", "email"];
