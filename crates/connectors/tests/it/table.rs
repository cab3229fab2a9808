//! What `connectors`, `enablePasswordDB` and `staticPasswords` hold.

use config::{Environment, Faults};
use testkit::FakeClock;

use crate::{context, read};

fn faults(text: &str) -> String {
    read(text, &Environment::default(), &context(&FakeClock::default())).1.to_string()
}

#[test]
fn a_configuration_without_any_connector_is_a_fault() {
    let told = faults("staticClients: []\n");
    assert!(
        told.contains(
            "connectors: is missing; name at least one upstream of atlassian-crowd, authproxy, bitbucket-cloud, gitea, github, gitlab, jwt, keystone, kubernetes, ldap, linkedin, microsoft, mockCallback, mockPassword, oauth, oidc, openshift, or"
        ),
        "{told}"
    );
    let clock = FakeClock::default();
    let (opened, faults) = read("enablePasswordDB: true\n", &Environment::default(), &context(&clock));
    assert!(faults.errors().is_empty(), "{faults}");
    assert_eq!((&*opened[0].id, &*opened[0].name, opened[0].kind), ("local", "Email", "local"));
}

#[test]
fn kinds_of_dex_that_are_not_there_yet_are_told_and_the_others_serve() {
    let text = "connectors:
- {type: google, id: google, name: Google, config: {clientID: $NOBODY_SET_THIS}}
- {type: mockCallback, id: mock, name: Mock}
- {type: saml, id: saml, name: SAML, config: {ssoURL: https://idp.example.com/sso}}
";
    let (opened, faults) = read(text, &Environment::default(), &context(&FakeClock::default()));
    assert!(faults.all().is_empty(), "{faults}");
    assert_eq!(opened.iter().map(|opened| &*opened.id).collect::<Vec<_>>(), ["mock"]);
    assert_eq!(faults.unsupported(), ["connectors[0] (type google)", "connectors[2] (type saml)"]);
}

#[test]
fn with_none_but_absent_kinds_nobody_could_come_in() {
    let told = faults("connectors: [{type: saml, id: saml, name: SAML}]\n");
    assert!(
        told.contains("error: connectors: cannot be used as it is; name at least one upstream of "),
        "{told}"
    );
    let text = "enablePasswordDB: true\nconnectors: [{type: saml, id: saml, name: SAML}]\n";
    assert!(!faults(text).contains("error"));
}

#[test]
fn every_fault_is_told_at_once() {
    let told = faults(
        "connectors:
- {type: ldap, id: a}
- {type: lpad, id: b, name: B}
- {type: mockCallback, id: '', name: C}
- {type: mockCallback, id: d, name: D}
- {type: mockCallback, id: d, name: E}
- {type: mockCallback, id: self, name: F}
- {type: mockCallback, id: local, name: G}
- {type: mockCallback, id: h}
- {type: mockCallback, id: i, name: I, grantTypes: [nonsense]}
",
    );
    for line in [
        "connectors[0].name: is missing",
        "connectors[1].type: is \"lpad\", which is not known; write one of ",
        "connectors[2].id: is empty",
        "connectors[4]: has the id \"d\", which is the id of another connector",
        "connectors[5]: has the id \"self\", which is reserved",
        "connectors[6]: has the id \"local\", which is reserved",
        "connectors[7].name: is missing",
        "connectors[8].grantTypes[0]: is \"nonsense\"; write one of ",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}

#[test]
fn grant_types_are_kept_and_variables_expand() {
    let environment = Environment::from_iter([("UPSTREAM", "https://gitlab.example")]);
    let text = "connectors:
- type: jwt
  id: gitlab
  name: GitLab
  grantTypes: ['urn:ietf:params:oauth:grant-type:token-exchange']
  config: {issuer: $UPSTREAM}
";
    let (opened, faults) = read(text, &environment, &context(&FakeClock::default()));
    assert!(faults.all().is_empty(), "{faults}");
    assert_eq!((&*opened[0].id, &*opened[0].name, opened[0].kind), ("gitlab", "GitLab", "jwt"));
    assert!(opened[0].allows("urn:ietf:params:oauth:grant-type:token-exchange"));
    assert!(!opened[0].allows("authorization_code"));
    let seam = opened[0].connector.subject().unwrap();
    let raw = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2dpdGxhYi5leGFtcGxlIn0.AAAA";
    assert!(seam.may_own(&token::UnverifiedJwt::parse(raw).unwrap()));
}

#[test]
fn a_rehearsal_asks_for_the_keys_of_every_kind() {
    let faults = Faults::rehearsal();
    connectors::rehearse(&faults, &context(&FakeClock::default()));
    assert!(faults.all().is_empty(), "{faults}");
    let known = faults.known_keys();
    for key in [
        "jwt].config.issuer",
        "oidc].config.rootCAs",
        "oidc].config.unsafeDexExchange",
        "kubernetes].config.maxLifetime",
    ] {
        let pattern = format!("connectors[{key}");
        assert!(known.iter().any(|known| known.pattern == pattern), "{pattern}");
    }
}
