//! The written policies, asked as the token endpoint asks them.

mod attacks;
mod cookbook;
mod deciding;
mod index;
mod issuing;
mod loading;
mod patterns;
mod properties;
mod survey;

use std::sync::Arc;

use ambient::Time;
use config::Faults;
use wire::claims::Claims;
use wire::form::Form;

use super::Policies;
use crate::clients::{Client, Clients};
use crate::connector::{Connector, Flow, Identity, Opened, SubjectAudience, SubjectAudiences, Vouched};
use crate::policy::{Decided, Granted, Question, Targets};
use crate::scope::Scopes;

const ISSUER: &str = "https://obol.example.com";
const NOW: i64 = 1_800_000_000;

struct Nobody;

impl Connector for Nobody {
    fn flow(&self) -> Flow<'_> {
        Flow::None
    }
}

/// One request; the default is what most tests vouch for.
struct Ask {
    connector: &'static str,
    client: &'static str,
    claims: String,
    identity: Identity,
    audience: SubjectAudience,
    expires: Option<i64>,
    form: String,
    scopes: &'static str,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            connector: "gitlab",
            client: "prod",
            claims: r#"{"project_path":"platform/infra","ref_protected":"true"}"#.into(),
            identity: Identity { user_id: "project_path:platform/infra".into(), ..Identity::default() },
            audience: SubjectAudience::InToken(vec![ISSUER.into()]),
            expires: Some(NOW + 3600),
            form: String::new(),
            scopes: "",
        }
    }
}

impl Ask {
    fn with(claims: &str) -> Self {
        Self { claims: claims.into(), ..Self::default() }
    }

    fn decide(self, policies: &Policies) -> Decided {
        let id = Arc::from(self.client);
        let client = Client {
            id: Arc::clone(&id),
            secret: None,
            name: String::new(),
            redirect_uris: vec![],
            public: true,
            trusted_peers: vec![],
            allowed_connectors: vec![],
            signing_alg: None,
            access_tokens: crate::clients::AccessTokens::Dex,
            groups: crate::clients::GroupRules::default(),
            own_groups: vec![],
            logo: None,
        };
        let connector = Opened {
            id: Arc::from(self.connector),
            kind: if self.connector == "self" { "self" } else { "jwt" },
            name: Arc::from(""),
            grant_types: Arc::from([]),
            audiences: SubjectAudiences::Unrestricted,
            connector: Arc::new(Nobody),
        };
        let vouched = Vouched {
            claims: Claims::parse(self.claims.as_bytes()).unwrap(),
            identity: self.identity,
            audience: self.audience,
            expires: self.expires.map(Time::from_unix),
            bound: false,
        };
        let clients = Clients::new([]);
        let form = Form::parse(&self.form, &["audience", "resource"]).unwrap();
        let (targets, scopes) = (Targets::read(&form).unwrap(), Scopes::parse(self.scopes).unwrap());
        policies.decide(&Question {
            client: &client,
            clients: &clients,
            connector: &connector,
            vouched: &vouched,
            targets: &targets,
            scopes: &scopes,
            issuer: ISSUER,
            now: Time::from_unix(NOW),
        })
    }

    fn granted(self, policies: &Policies) -> Granted {
        self.decide(policies).outcome.unwrap()
    }

    /// The error code, and the reason for the audit log.
    fn refused(self, policies: &Policies) -> (&'static str, String) {
        let denied = self.decide(policies).outcome.unwrap_err();
        (denied.refusal.code.as_str(), denied.refusal.reason.into_owned())
    }
}

/// Reads the value of `tokenExchange`.
fn read(yaml: &str) -> (Policies, Faults) {
    let faults = Faults::new();
    let root = config::parse(yaml, &faults).unwrap();
    let policies = Policies::read(&root, &faults);
    (policies, faults)
}

/// One that must load.
fn load(yaml: &str) -> Policies {
    let (policies, faults) = read(yaml);
    assert!(!faults.has_errors(), "{faults}");
    policies
}

/// One policy for client and audience `prod`, with these lines at its end and below `issue`.
fn one(matching: &str, issue: &str) -> Policies {
    load(&policy("p", matching, issue))
}

fn policy(name: &str, matching: &str, issue: &str) -> String {
    format!(
        "policies:\n- name: {name}\n  subject:\n    connector: gitlab\n    match: >-\n      {matching}\n  clients: [prod]\n  audiences: [prod]\n  issue:\n    lifetime: 15m\n{}\n",
        issue.lines().map(|line| format!("    {line}\n")).collect::<String>()
    )
}
