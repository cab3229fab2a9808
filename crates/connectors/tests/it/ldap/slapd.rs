//! OpenLDAP, as Debian packages it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provider::connector::{Hints, Identity, Opened, UpstreamError};
use serde_json::{Value, json};
use testkit::peers::Slapd;
use testkit::{FakeClock, TestCa};

use super::{ALL, config, login, login_as, plain};
use crate::open;

fn secure(directory: &Slapd, ca: &TestCa, more: &Value) -> Opened {
    let mut all = config(&directory.ldaps(), &json!({"rootCAData": STANDARD.encode(ca.pem())}));
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    open("ldap", &all, &FakeClock::default())
}

/// Groups by who their members are, and by the groups that those are in.
fn groups(recursion: &str) -> Value {
    json!({
        "baseDN": "ou=groups,dc=example,dc=org",
        "filter": "(objectClass=groupOfNames)",
        "nameAttr": "cn",
        "userMatchers": [
            {"userAttr": "DN", "groupAttr": "member", "recursionGroupAttr": recursion},
            {"userAttr": "uid", "groupAttr": "businessCategory"},
        ],
    })
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn a_person_signs_in_with_groups_and_refreshes() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let users = json!({"baseDN": "ou=people,dc=example,dc=org", "filter": "(objectClass=person)", "username": ["uid", "mail"], "nameAttr": "cn"});
    let opened = secure(&directory, &ca, &json!({"userSearch": users, "groupSearch": groups("member")}));
    let want = Identity {
        user_id: "alice".into(),
        username: "Alice A".into(),
        email: "alice@example.org".into(),
        groups: ["devs", "everybody", "admins", "by-name"].map(String::from).to_vec(),
        ..Identity::default()
    };
    for name in ["alice", "alice@example.org"] {
        let mut signed_in = login(&opened, name, "canary-a").await.unwrap().unwrap();
        signed_in.identity.groups.sort_by_key(|name| want.groups.iter().position(|known| known == name));
        assert_eq!(signed_in.identity, want, "{name}");
        assert!(login(&opened, name, "canary-b").await.unwrap().is_none());
        let again = opened.connector.refresh().unwrap();
        let again = again.refresh(ALL, &want, signed_in.kept.expose()).await.unwrap();
        assert_eq!(again.identity.groups.len(), 4);
    }
    // Circles end, and without recursion there is one level.
    let opened = secure(&directory, &ca, &json!({"groupSearch": groups("")}));
    let mut found = login(&opened, "alice", "canary-a").await.unwrap().unwrap().identity.groups;
    found.sort();
    assert_eq!(found, ["by-name", "devs", "everybody"]);
    let none = Hints { offline: true, groups: false };
    assert!(login_as(&opened, none, "alice", "canary-a").await.unwrap().unwrap().identity.groups.is_empty());
    let legacy = json!({"baseDN": "ou=groups,dc=example,dc=org", "nameAttr": "cn", "userAttr": "uid", "groupAttr": "businessCategory", "scope": "one"});
    let opened = secure(&directory, &ca, &json!({"groupSearch": legacy}));
    assert_eq!(login(&opened, "alice", "canary-a").await.unwrap().unwrap().identity.groups, ["by-name"]);
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn a_refresh_ends_with_the_entry() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let opened = secure(&directory, &ca, &json!({}));
    let signed_in = login(&opened, "alice", "canary-a").await.unwrap().unwrap();
    let refresh = opened.connector.refresh().unwrap();
    assert!(refresh.refresh(ALL, &signed_in.identity, signed_in.kept.expose()).await.is_ok());
    directory.modify("dn: cn=Alice A,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: cn=Other\ndeleteoldrdn: 0\n").unwrap();
    let said = refresh.refresh(ALL, &signed_in.identity, signed_in.kept.expose()).await;
    assert!(matches!(said, Err(UpstreamError::Denied(_))), "another entry has the name: {said:?}");
    directory.modify("dn: cn=Other,ou=people,dc=example,dc=org\nchangetype: delete\n").unwrap();
    let said = refresh.refresh(ALL, &signed_in.identity, signed_in.kept.expose()).await;
    assert!(matches!(said, Err(UpstreamError::Denied(_))), "it is gone: {said:?}");
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn dex_k8_a_name_with_special_characters_is_escaped_once() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let opened = secure(&directory, &ca, &json!({"groupSearch": groups("")}));
    let bob = login(&opened, r"b*b (o)\é", "canary-b").await.unwrap().unwrap();
    assert_eq!(bob.identity.user_id, r"b*b (o)\é");
    assert_eq!(bob.identity.groups, ["everybody"]);
    // As Dex stores it.
    let kept: Value = serde_json::from_slice(bob.kept.expose()).unwrap();
    assert_eq!(kept["username"], r"b\2ab \28o\29\5c\c3\a9");
    assert!(opened.connector.refresh().unwrap().refresh(ALL, &bob.identity, bob.kept.expose()).await.is_ok());
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn attack_24_what_is_typed_is_never_a_filter() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let opened = secure(&directory, &ca, &json!({}));
    for name in [
        "*",
        "al*",
        "alice)(uid=*",
        "*)(|(uid=alice)",
        "alice)(!(uid=x))",
        "alice\0",
        r"\61lice",
        "twin",
        "nobody",
    ] {
        assert!(login(&opened, name, "canary-a").await.unwrap().is_none(), "{name:?}");
    }
    assert!(login(&opened, "alice", "").await.unwrap().is_none());
    assert!(login(&opened, "alice", "canary-a").await.unwrap().is_some());
    let said = login(&opened, "carol", "canary-c").await;
    assert!(matches!(said, Err(UpstreamError::Invalid(_))), "no mail: {said:?}");
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn connections_are_encrypted_as_the_configuration_says() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (STANDARD.encode(ca.pem()), STANDARD.encode(other.pem()));
    let (right_file, wrong_file) = (file("ca.pem", ca.pem()), file("other.pem", other.pem()));
    for host in [directory.ldaps(), directory.plain()] {
        let start_tls = host == directory.plain();
        for (more, good) in [
            (json!({"rootCAData": right}), true),
            (json!({"rootCA": right_file}), true),
            (json!({"rootCA": wrong_file, "rootCAData": right}), true),
            (json!({"rootCA": right_file, "rootCAData": wrong}), false),
            (json!({"rootCA": wrong_file}), false),
            (json!({}), false),
            (json!({"insecureSkipVerify": true}), true),
        ] {
            let mut all = config(&host, &more);
            all["startTLS"] = json!(start_tls);
            let said = login(&open("ldap", &all, &FakeClock::default()), "alice", "canary-a").await;
            match said {
                Ok(Some(_)) if good => {}
                Err(UpstreamError::Unavailable(_)) if !good => {}
                other => panic!("{host} {more}: {other:?}"),
            }
        }
    }
    let both = plain(&directory.plain(), &json!({"startTLS": true, "rootCAData": wrong}));
    let opened = open("ldap", &both, &FakeClock::default());
    assert!(login(&opened, "alice", "canary-a").await.unwrap().is_some(), "insecureNoSSL wins, as in Dex");
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn a_client_certificate_is_shown_to_who_demands_one() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "demand").await.unwrap();
    let said = login(&secure(&directory, &ca, &json!({})), "alice", "canary-a").await;
    assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "{said:?}");
    let folder = tempfile::tempdir().unwrap();
    let leaf = ca.client("obol");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, &leaf.cert_pem).unwrap();
    std::fs::write(&key, &leaf.key_pem).unwrap();
    let opened = secure(&directory, &ca, &json!({"clientCert": certificate, "clientKey": key}));
    assert!(login(&opened, "alice", "canary-a").await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "peer: slapd"]
async fn searches_run_as_the_configured_name() {
    let ca = TestCa::new();
    let directory = Slapd::start(&ca, LDIF, "try").await.unwrap();
    let anonymous = secure(&directory, &ca, &json!({"bindDN": "", "bindPW": ""}));
    assert!(
        login(&anonymous, "alice", "canary-a").await.unwrap().is_none(),
        "strangers may read nothing here"
    );
    let wrong = secure(&directory, &ca, &json!({"bindPW": "wrong"}));
    let said = login(&wrong, "alice", "canary-a").await;
    assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "not a verdict about alice: {said:?}");
    let opened = secure(&directory, &ca, &json!({"groupSearch": groups("member")}));
    let before = directory.connections();
    for _ in 0..3 {
        assert!(login(&opened, "alice", "canary-a").await.unwrap().is_some());
    }
    assert_eq!(directory.connections() - before, 2, "one to search, one to try passwords");
}

const LDIF: &str = r"
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=Alice A,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Alice A
sn: A
uid: alice
mail: alice@example.org
userPassword: canary-a

dn: cn=Bob \2C (B) \\,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Bob , (B) \
sn: B
uid:: YipiIChvKVzDqQ==
mail: bob@example.org
userPassword: canary-b

dn: cn=Carol C,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Carol C
sn: C
uid: carol
userPassword: canary-c

dn: cn=Twin One,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Twin One
sn: T
uid: twin
mail: one@example.org
userPassword: canary-a

dn: cn=Twin Two,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Twin Two
sn: T
uid: twin
mail: two@example.org
userPassword: canary-a

dn: cn=devs,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: devs
member: cn=Alice A,ou=people,dc=example,dc=org
member: cn=admins,ou=groups,dc=example,dc=org

dn: cn=admins,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: admins
member: cn=devs,ou=groups,dc=example,dc=org

dn: cn=everybody,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: everybody
member: cn=Alice A,ou=people,dc=example,dc=org
member: cn=Bob \2C (B) \\,ou=people,dc=example,dc=org

dn: cn=by-name,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: by-name
businessCategory: alice
member: cn=admin,dc=example,dc=org
";
