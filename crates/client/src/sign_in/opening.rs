//! The authorization request (OpenID Connect Core section 3.1.2.1) and the secrets that bind its answer to us.

use ambient::{Random, RandomExt as _};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use url::Url;
use wire::json::Object;
use wire::oauth::grant_type;

use super::SignIn;
use crate::answer;
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;

/// Made for one sign-in and told to nobody but through the browser (the verifier not even there).
pub(super) struct Opening {
    pub(super) redirect_uri: String,
    verifier: String,
    pub(super) nonce: String,
    state: String,
}

/// What came back from the authorization endpoint.
pub(super) enum Arrival {
    Code(String),
    /// The person or the provider said no (section 3.1.2.6).
    Refused {
        code: String,
        description: Option<String>,
    },
    /// It is the answer to our request, and not from our issuer (RFC 9207 section 2.4).
    Foreign(String),
}

/// It is no answer to our request.
pub(super) struct Stray(pub(super) &'static str);

impl Opening {
    pub(super) fn new(redirect_uri: String, random: &dyn Random) -> Self {
        let secret = || wire::b64::encode(random.bytes::<32>());
        Self { redirect_uri, verifier: secret(), nonce: secret(), state: secret() }
    }

    /// What trades the code (section 3.1.3.1).
    pub(super) fn redemption<'a>(&'a self, ask: &SignIn, code: &'a str) -> Vec<(&'static str, &'a str)> {
        let mut form = vec![
            ("grant_type", grant_type::AUTHORIZATION_CODE),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
        ];
        if ask.pkce {
            form.push(("code_verifier", &self.verifier));
        }
        form
    }

    fn parameters(&self, ask: &SignIn) -> Vec<(String, String)> {
        let challenge = challenge(&self.verifier);
        let ours = [
            ("response_type", "code"),
            ("client_id", ask.client.id.as_deref().unwrap_or_default()),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &ask.scope.join(" ")),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            // Google's word for offline_access; others ignore it (RFC 6749 section 3.1).
            ("access_type", "offline"),
        ];
        let mut all = ours.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        all.retain(|(name, _)| ask.pkce || !name.starts_with("code_challenge"));
        for (name, value) in &ask.extra {
            // What binds the answer to us is not for others to choose.
            if !OURS.contains(&name.as_str()) {
                all.retain(|(known, _)| known != name);
                all.push((name.clone(), value.clone()));
            }
        }
        all
    }

    /// Reads what the browser brought back. Only who knows `state` can say anything at all.
    pub(super) fn arrival(&self, query: &str, found: &Discovered) -> Result<Arrival, Stray> {
        let form = wire::form::Form::parse(query, &[]).map_err(|_| Stray("it is not correctly encoded"))?;
        let state = form.get("state").ok_or(Stray("it does not say which sign-in it answers"))?;
        if verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_err() {
            return Err(Stray("it answers another sign-in"));
        }
        let (iss, document) = (form.get("iss"), &found.document);
        let promised = document.authorization_response_iss_parameter_supported == Some(true);
        if iss.map_or(promised, |iss| iss != document.issuer) {
            return Ok(Arrival::Foreign(iss.unwrap_or_default().to_owned()));
        }
        if let Some(code) = form.get("error") {
            let description = form.get("error_description").map(str::to_owned);
            return Ok(Arrival::Refused { code: code.to_owned(), description });
        }
        form.get("code").map(|code| Arrival::Code(code.to_owned())).ok_or(Stray("it has no code"))
    }
}

impl Arrival {
    /// The code, or why there is none.
    pub(super) fn code(self, issuer: &str) -> Result<String, Error> {
        match self {
            Self::Code(code) => Ok(code),
            Self::Refused { code, description } => Err(Error::denied(&code, description.as_deref())),
            Self::Foreign(iss) => Err(Error::Foreign { iss, issuer: issuer.to_owned() }),
        }
    }
}

impl Exchanger {
    /// Where the browser goes. A provider that takes requests by the back door gets them there, so that the browser's
    /// address says nothing and nobody on the way can change it (RFC 9126).
    pub(super) async fn address(
        &self,
        ask: &SignIn,
        found: &Discovered,
        opening: &Opening,
    ) -> Result<Url, Error> {
        let document = &found.document;
        let mut url = found.endpoint("authorization_endpoint", document.authorization_endpoint.as_deref())?;
        let parameters = opening.parameters(ask);
        let Some(named) = document.pushed_authorization_request_endpoint.as_deref() else {
            url.query_pairs_mut().extend_pairs(parameters);
            return Ok(url);
        };
        let door = found.endpoint("pushed_authorization_request_endpoint", Some(named))?;
        let form = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = form.collect::<Vec<_>>();
        let answer = self.post_form(ask, found, &door, &form).await?;
        if !answer.status.is_success() {
            return Err(answer::refusal(&door, &answer, false));
        }
        let told = Object::parse(&answer.body).unwrap_or_default();
        let request_uri = told.str("request_uri").filter(|uri| !uri.is_empty());
        let request_uri =
            request_uri.ok_or(Error::Unbound("the provider took the request and gave no request_uri"))?;
        let client = ask.client.id.as_deref().unwrap_or_default();
        url.query_pairs_mut().append_pair("client_id", client).append_pair("request_uri", request_uri);
        Ok(url)
    }
}

/// PKCE S256 (RFC 7636 section 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    wire::b64::encode(digest(&SHA256, verifier.as_bytes()).as_ref())
}

const OURS: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
