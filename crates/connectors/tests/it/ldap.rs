//! Directories: a stub that answers in LDAP's own bytes and can misbehave, and real ones.

mod active_directory;
mod slapd;
mod stub;

use std::time::Duration;

use ambient::Secret;
use config::Environment;
use provider::connector::{Flow, Hints, Opened, SignedIn, UpstreamError};
use serde_json::{Value, json};
use testkit::{FakeClock, Line, Server};
use tokio::task::JoinSet;

use crate::{context, faults_of, open, read};
pub(crate) use stub::Stub;
use stub::{BIND, Op, SEARCH, entry, outcome};

/// What every test begins with; `more` is added.
fn config(host: &str, more: &Value) -> Value {
    let mut config = json!({
        "host": host,
        "bindDN": "cn=admin,dc=example,dc=org",
        "bindPW": "admin",
        "userSearch": {"baseDN": "ou=people,dc=example,dc=org", "username": "uid", "nameAttr": "cn"},
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

pub(crate) fn plain(host: &str, more: &Value) -> Value {
    let mut config = config(host, &json!({"insecureNoSSL": true}));
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

async fn login_as(
    opened: &Opened,
    scopes: Hints,
    name: &str,
    word: &str,
) -> Result<Option<SignedIn>, UpstreamError> {
    let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
    flow.login(scopes, name, &Secret::from(word)).await
}

async fn login(opened: &Opened, name: &str, word: &str) -> Result<Option<SignedIn>, UpstreamError> {
    login_as(opened, ALL, name, word).await
}

const ALL: Hints = Hints { offline: true, groups: true };

/// A directory of one person, `alice`, whose password is `right`.
pub(crate) fn alice(op: &Op) -> Vec<Vec<u8>> {
    let people = [("uid", "alice"), ("mail", "alice@example.org"), ("cn", "Alice A")];
    match op.tag {
        BIND if [b"\x80\x05admin", b"\x80\x05right"].iter().any(|word| op.content.ends_with(*word)) => {
            vec![outcome(0x61, 0)]
        }
        BIND => vec![outcome(0x61, 49)],
        SEARCH if op.holds("\x04\x05alice") => vec![entry("cn=alice,dc=x", &people), outcome(0x65, 0)],
        _ => vec![outcome(0x65, 0)],
    }
}

#[tokio::test]
async fn a_person_has_the_attributes_that_are_asked_for() {
    let stub = Stub::start(alice).await;
    let clock = FakeClock::default();
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &clock);
    let signed_in = login(&opened, "alice", "right").await.unwrap().unwrap();
    let identity = &signed_in.identity;
    assert_eq!((identity.user_id.as_str(), identity.username.as_str()), ("alice", "Alice A"));
    assert_eq!(identity.email, "alice@example.org", "uid and mail need not be written");
    let kept: Value = serde_json::from_slice(signed_in.kept.expose()).unwrap();
    assert_eq!(kept, json!({"username": "alice", "entry": {"DN": "cn=alice,dc=x", "Attributes": null}}));
    let users = json!({
        "baseDN": "dc=x", "username": "uid", "idAttr": "DN", "nameAttr": "cn", "preferredUsernameAttr": "uid",
        "emailSuffix": "corp.example", "scope": "one", "filter": "(objectClass=person)",
    });
    let opened = open("ldap", &plain(&stub.host(), &json!({"userSearch": users})), &clock);
    let scopes = Hints { offline: false, groups: false };
    let signed_in = login_as(&opened, scopes, "alice", "right").await.unwrap().unwrap();
    let identity = &signed_in.identity;
    assert_eq!(identity.user_id, "cn=alice,dc=x");
    assert_eq!(
        (identity.preferred_username.as_str(), identity.email.as_str()),
        ("alice", "Alice A@corp.example")
    );
    assert!(signed_in.kept.expose().is_empty());
    let searches: Vec<_> = stub.seen().into_iter().filter(|op| op.tag == SEARCH).collect();
    assert!(searches[1].holds("objectClass") && !searches[0].holds("objectClass"));
    let scope = |op: &Op| op.content[op.content[1] as usize + 4];
    assert_eq!((scope(&searches[0]), scope(&searches[1])), (2, 1), "sub, one");
}

#[tokio::test]
async fn dex_k5_addresses_are_verified_only_by_the_operators_word() {
    let stub = Stub::start(alice).await;
    for (more, verified) in [(json!({}), false), (json!({"emailVerified": true}), true)] {
        let opened = open("ldap", &plain(&stub.host(), &more), &FakeClock::default());
        let signed_in = login(&opened, "alice", "right").await.unwrap().unwrap();
        assert_eq!(signed_in.identity.email_verified, verified);
    }
}

#[tokio::test]
async fn an_empty_password_is_refused_before_anything_is_asked() {
    let stub = Stub::start(|op| if op.tag == BIND { vec![outcome(0x61, 0)] } else { alice(op) }).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    for (name, word) in [("alice", ""), ("", "right"), ("", "")] {
        assert!(login(&opened, name, word).await.unwrap().is_none());
    }
    assert!(stub.seen().is_empty());
    assert!(login(&opened, "alice", "any").await.unwrap().is_some());
}

#[tokio::test]
async fn attack_24_an_unknown_name_costs_as_many_questions_as_a_wrong_password() {
    let stub = Stub::start(alice).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    assert!(login(&opened, "alice", "wrong").await.unwrap().is_none(), "the connections are open now");
    let mut costs = Vec::new();
    for name in ["alice", "nobody"] {
        let before = stub.seen().len();
        assert!(login(&opened, name, "wrong").await.unwrap().is_none());
        costs.push(stub.seen()[before..].iter().map(|op| op.tag).collect::<Vec<_>>());
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0], [SEARCH, BIND]);
}

#[tokio::test]
async fn a_name_of_two_entries_is_nobodys() {
    let twins = |op: &Op| match op.tag {
        BIND => vec![outcome(0x61, 0)],
        _ => vec![entry("cn=a", &[("uid", "a")]), entry("cn=b", &[("uid", "a")]), outcome(0x65, 4)],
    };
    let stub = Stub::start(twins).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    assert!(login(&opened, "a", "x").await.unwrap().is_none());
    assert!(!stub.seen().iter().any(|op| op.tag == BIND && (op.holds("cn=a,") || op.holds("cn=b"))));
}

#[tokio::test]
async fn attack_14_a_directory_in_trouble_says_nothing_about_anybody() {
    for (tag, code) in
        [(BIND, 51), (BIND, 52), (BIND, 80), (BIND, 10), (SEARCH, 1), (SEARCH, 10), (SEARCH, 11)]
    {
        let stub = Stub::start(move |op| {
            if op.tag == tag && !op.holds("admin") {
                return vec![outcome(tag + 1 + u8::from(tag == SEARCH), code)];
            }
            alice(op)
        });
        let stub = stub.await;
        let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
        let said = login(&opened, "alice", "right").await;
        assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "{tag:x} {code}: {said:?}");
    }
    for bytes in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x00", b""]
    {
        let stub = Stub::raw(bytes).await;
        let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
        let said = login(&opened, "alice", "right").await;
        assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "{said:?}");
    }
}

#[tokio::test]
async fn every_step_has_its_time() {
    let server = Server::plain(|_| async { testkit::serve::text(500, "") }).await;
    server.set_line(Line::Hanging).await;
    let host = server.address().to_string();
    for more in [json!({"insecureNoSSL": true}), json!({}), json!({"startTLS": true})] {
        let clock = FakeClock::default();
        let opened = open("ldap", &config(&host, &more), &clock);
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { login(&opened, "alice", "right").await.map(|who| who.is_some()) });
        clock.until_sleeping(1).await;
        // Connecting has a bound of its own before the first question has one.
        let said = loop {
            clock.advance(Duration::from_secs(10));
            tokio::task::yield_now().await;
            if let Some(said) = waiting.try_join_next() {
                break said.unwrap();
            }
        };
        assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "{more}: {said:?}");
    }
}

#[tokio::test]
async fn dex_k8_connections_are_kept_and_replaced_when_they_die() {
    let stub = Stub::start(alice).await;
    let clock = FakeClock::default();
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &clock);
    for _ in 0..5 {
        assert!(login(&opened, "alice", "right").await.unwrap().is_some());
    }
    assert_eq!(stub.connections(), 2, "one to search, one to try passwords");
    stub.hang_up().await;
    assert!(login(&opened, "alice", "right").await.unwrap().is_some());
    assert_eq!(stub.connections(), 4);
    clock.advance(Duration::from_secs(61));
    assert!(login(&opened, "alice", "wrong").await.unwrap().is_none());
    assert_eq!(stub.connections(), 6, "those that rested too long are not used");
}

#[tokio::test]
async fn attack_12_nothing_that_was_said_before_tls_counts_after_it() {
    // The answer to StartTLS, and behind it, in clear, one to the bind that follows.
    let injected = [outcome(0x78, 0), outcome(0x61, 0)];
    let stub = Stub::start(move |_| injected.to_vec()).await;
    let opened = open("ldap", &config(&stub.host(), &json!({"startTLS": true})), &FakeClock::default());
    let said = login(&opened, "alice", "right").await;
    assert!(matches!(&said, Err(UpstreamError::Unavailable(why)) if why.contains("in clear")), "{said:?}");
    let stub = Stub::start(|_| vec![outcome(0x78, 52)]).await;
    let opened = open("ldap", &config(&stub.host(), &json!({"startTLS": true})), &FakeClock::default());
    let said = login(&opened, "alice", "right").await;
    assert!(
        matches!(&said, Err(UpstreamError::Unavailable(why)) if why.contains("refuses StartTLS")),
        "{said:?}"
    );
    assert!(stub.seen().iter().all(|op| op.tag != BIND), "no password goes where TLS is refused");
}

#[tokio::test]
async fn a_refresh_looks_again_and_wants_the_same_entry() {
    let stub = Stub::start(alice).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    let signed_in = login(&opened, "alice", "right").await.unwrap().unwrap();
    let seam = opened.connector.refresh().unwrap();
    let again = seam.refresh(ALL, &signed_in.identity, signed_in.kept.expose()).await.unwrap();
    assert_eq!((again.identity, again.kept.expose()), (signed_in.identity.clone(), signed_in.kept.expose()));
    // As Dex stores it: the whole entry of its library.
    let of_dex = br#"{"username":"alice","entry":{"DN":"cn=alice,dc=x","Attributes":[{"Name":"uid","Values":["alice"],"ByteValues":["YWxpY2U="]}]}}"#;
    assert!(seam.refresh(ALL, &signed_in.identity, of_dex).await.is_ok());
    for kept in [
        &br#"{"username":"alice","entry":{"DN":"cn=other,dc=x"}}"#[..],
        br#"{"username":"nobody","entry":{"DN":"cn=alice,dc=x"}}"#,
        br#"{"username":"alice"}"#,
        b"",
    ] {
        let said = seam.refresh(ALL, &signed_in.identity, kept).await;
        assert!(matches!(said, Err(UpstreamError::Denied(_))), "{said:?}");
    }
}

#[tokio::test]
async fn attack_24_a_closed_account_is_refused_at_login_and_ends_at_refresh() {
    let closed = |op: &Op| match op.tag {
        BIND => vec![outcome(0x61, 0)],
        _ => vec![
            entry(
                "cn=alice,dc=x",
                &[("uid", "alice"), ("mail", "a@x"), ("cn", "A"), ("userAccountControl", "514")],
            ),
            outcome(0x65, 0),
        ],
    };
    let stub = Stub::start(closed).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    assert!(matches!(login(&opened, "alice", "right").await, Err(UpstreamError::Denied(_))));
    let seam = opened.connector.refresh().unwrap();
    let kept = br#"{"username":"alice","entry":{"DN":"cn=alice,dc=x"}}"#;
    let said = seam.refresh(ALL, &provider::connector::Identity::default(), kept).await;
    assert!(matches!(said, Err(UpstreamError::Denied(_))), "{said:?}");
}

#[tokio::test]
async fn an_entry_without_what_is_needed_signs_nobody_in() {
    let bare = |op: &Op| match op.tag {
        BIND => vec![outcome(0x61, 0)],
        _ => vec![entry("cn=alice,dc=x", &[("uid", "alice"), ("cn", "")]), outcome(0x65, 0)],
    };
    let stub = Stub::start(bare).await;
    for more in [
        json!({}),
        json!({"userSearch": {"baseDN": "x", "username": "uid", "emailAttr": "uid", "nameAttr": "cn"}}),
    ] {
        let opened = open("ldap", &plain(&stub.host(), &more), &FakeClock::default());
        let said = login(&opened, "alice", "right").await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{said:?}");
    }
    let unnamed =
        |op: &Op| if op.tag == BIND { alice(op) } else { vec![entry("", &[("uid", "a")]), outcome(0x65, 0)] };
    let stub = Stub::start(unnamed).await;
    let opened = open("ldap", &plain(&stub.host(), &json!({})), &FakeClock::default());
    assert!(
        login(&opened, "alice", "right").await.unwrap().is_none(),
        "an entry without a name has no password"
    );
}

#[test]
fn the_name_field_is_called_as_configured() {
    for (written, shown) in [(json!({}), "Username"), (json!({"usernamePrompt": "E-mail"}), "E-mail")] {
        let opened = open("ldap", &config("a", &written), &FakeClock::default());
        let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
        assert_eq!(flow.prompt(), shown);
    }
}

/// In the shape of Dex's guides: for OpenLDAP, and for Active Directory.
#[test]
fn configurations_of_the_shape_of_the_guides_start_unchanged() {
    let text = r#"
connectors:
- type: ldap
  id: ldap
  name: OpenLDAP
  config:
    host: localhost:389
    insecureNoSSL: true
    bindDN: cn=admin,dc=example,dc=org
    bindPW: admin
    usernamePrompt: Email Address
    userSearch:
      baseDN: ou=People,dc=example,dc=org
      filter: "(objectClass=person)"
      username: mail
      idAttr: DN
      emailAttr: mail
      nameAttr: cn
    groupSearch:
      baseDN: ou=Groups,dc=example,dc=org
      filter: "(objectClass=groupOfNames)"
      userMatchers:
      - userAttr: DN
        groupAttr: member
      nameAttr: cn
- type: ldap
  name: ActiveDirectory
  id: ad
  config:
    host: ad.example.com:636
    insecureNoSSL: false
    insecureSkipVerify: true
    bindDN: cn=Administrator,cn=users,dc=example,dc=com
    bindPW: "$AD_PASSWORD"
    usernamePrompt: Email Address
    userSearch:
      baseDN: cn=Users,dc=example,dc=com
      filter: "(&(objectClass=person)(memberOf:1.2.840.113556.1.4.1941:=cn=staff,dc=example,dc=com))"
      username: userPrincipalName
      idAttr: DN
      emailAttr: userPrincipalName
      nameAttr: cn
    groupSearch:
      baseDN: cn=Users,dc=example,dc=com
      filter: "(objectClass=group)"
      userAttr: DN
      groupAttr: member
      nameAttr: cn
"#;
    let environment = Environment::from_iter([("AD_PASSWORD", "p$w")]);
    let (opened, faults) = read(text, &environment, &context(&FakeClock::default()));
    assert!(faults.errors().is_empty() && faults.unsupported().is_empty(), "{faults}");
    assert_eq!(opened.len(), 2);
}

#[test]
fn dex_k13_faults_are_told_at_start() {
    let told = faults_of("ldap", &json!({}));
    for line in [
        "config.host: is missing",
        "config.userSearch.baseDN: is missing",
        "config.userSearch.username: is missing",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    let bad = json!({
        "host": "ldaps://a", "bindDN": "cn=admin", "clientCert": "/nowhere", "rootCA": "/nowhere",
        "userSearch": {"baseDN": "", "username": ["uid", "a b"], "filter": "(a=b", "scope": "base", "idAttr": "a)(b", "emailSuffix": "x"},
        "groupSearch": {"baseDN": "x", "filter": "nonsense", "userMatchers": [{"userAttr": "DN"}]},
    });
    let told = faults_of("ldap", &bad);
    for line in [
        "config: has a host that cannot be read",
        "config: has only one of bindDN and bindPW",
        "config: has a clientCert that cannot be read",
        "config: has a rootCA that cannot be read",
        "config.userSearch: has an empty baseDN",
        "config.userSearch.username: names no attribute",
        "config.userSearch: has a filter that lacks a closing parenthesis at byte 4",
        "config.userSearch.scope: is \"base\"; write one of",
        "config.userSearch: has idAttr: \"a)(b\", which names no attribute",
        "config.userSearch: has an emailSuffix without nameAttr",
        "config.groupSearch: has a filter that must begin with a parenthesis at byte 0",
        "config.groupSearch: has no nameAttr",
        "config.groupSearch.userMatchers[0]: has only one of userAttr and groupAttr",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    let told = faults_of("ldap", &plain("a", &json!({})));
    assert!(told.contains("warning: connectors[0].config: talks to the directory in clear"), "{told}");
    assert_eq!(faults_of("ldap", &config("a", &json!({"kerberos": {"enabled": true}}))), "");
}
