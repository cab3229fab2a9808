//! `oidc`: any OpenID provider, with Dex's keys (dex.md 3.3) and two of ours. People sign in through it by redirect; its
//! ID tokens, and access tokens whose audience can be known, are vouched for in exchanges.

mod asking;
mod claims;
mod endpoints;
mod exchange;
mod groups;
mod login;
mod settings;

use std::sync::Arc;

use config::{Fields, KeyStyle};
use outbound::Client;
use provider::connector::{Connector, Flow, Refresh, SubjectAudiences, VouchSubject};
use token::{Audience, Expect, Keys, Source, SubjectToken, Trust, UpstreamIdToken, Verifier};

use crate::root_ca::Machine;
use crate::{Built, Context, Given, Kind, root_ca};
use claims::Mapping;
use endpoints::Endpoints;
use settings::Settings;

pub(crate) const KIND: Kind = Kind { kind: "oidc", keys: KeyStyle::Dex, read, file: file!() };

/// One OpenID provider.
struct Oidc {
    settings: Settings,
    mapping: Mapping,
    issuers: Vec<Arc<str>>,
    client: Client,
    endpoints: Endpoints,
    context: Context,
    subjects: Verifier<SubjectToken>,
    /// Absent without a `clientID`: then nobody signs in through it.
    logins: Option<Verifier<UpstreamIdToken>>,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let trust = root_ca::trust(fields, Machine::Stays);
    let mapping = Mapping::read(fields);
    let settings = Settings::read(fields, given);
    let client = given
        .context
        .client(trust, None)
        .map_err(|error| fields.error(format!("cannot set up TLS ({error})"), "mend rootCAs"))
        .ok()?;
    let (settings, mapping) = (settings?, mapping?);
    let audiences = audiences(fields, &settings);
    let connector = Oidc::new(settings, mapping, client, given)?;
    Some(Built { connector: Arc::new(connector), audiences })
}

/// DESIGN section 6: a connector with a `clientID` demands it or ours; one without accepts anybody's, loudly.
fn audiences(fields: &Fields<'_>, settings: &Settings) -> SubjectAudiences {
    let named: Vec<String> = settings.client_id.iter().chain(&settings.audiences).cloned().collect();
    if named.is_empty() {
        let what = "has neither clientID nor audiences: without a tokenExchange section it exchanges tokens that the \
                    issuer made for anybody";
        fields.warning(what, "write audiences: [] with whom subject tokens are meant for");
        return SubjectAudiences::Unrestricted;
    }
    SubjectAudiences::AnyOf(named.into())
}

impl Oidc {
    fn new(settings: Settings, mapping: Mapping, client: Client, given: &Given<'_>) -> Option<Self> {
        let context = given.context.clone();
        let issuers: Vec<Arc<str>> = std::iter::once(&settings.issuer)
            .chain(&settings.issuer_alias)
            .map(|text| Arc::from(text.as_str()))
            .collect();
        let Source::Discovery { url, .. } = Source::of_issuer(&settings.issuer).ok()? else { return None };
        let source = match &settings.overrides.jwks {
            Some(jwks) => Source::Jwks(jwks.clone()),
            None => Source::Discovery { url: url.clone(), issuers: issuers.clone() },
        };
        let keys = Keys::remote(context.remote_keys(source, client.clone()));
        let trust = Trust::new(given.id);
        let subjects = Expect::new(settings.issuer.as_str(), Audience::Unrestricted);
        let subjects =
            settings.issuer_alias.iter().fold(subjects, |expect, alias| expect.alias(alias.as_str()));
        let logins = settings.client_id.as_deref().map(|client_id| {
            let expect = Expect::new(settings.issuer.as_str(), Audience::only(client_id));
            let expect =
                settings.issuer_alias.iter().fold(expect, |expect, alias| expect.alias(alias.as_str()));
            Verifier::new(trust.clone(), keys.clone(), expect)
        });
        Some(Self {
            endpoints: Endpoints::new(url, issuers.clone(), client.clone(), Arc::clone(&context.clock)),
            subjects: Verifier::new(trust, keys, subjects),
            settings,
            mapping,
            issuers,
            client,
            context,
            logins,
        })
    }
}

impl Connector for Oidc {
    fn flow(&self) -> Flow<'_> {
        if self.logins.is_some() { Flow::Redirect(self) } else { Flow::None }
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        self.logins.is_some().then_some(self)
    }

    fn subject(&self) -> Option<&dyn VouchSubject> {
        Some(self)
    }

    fn warm(&self) {
        crate::jwt::warm(&self.subjects);
    }
}
