//! Active Directory, as Samba speaks it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provider::connector::{Opened, UpstreamError};
use serde_json::{Value, json};
use testkit::peers::Samba;
use testkit::{FakeClock, TestCa};

use super::{ALL, login};
use crate::open;

const USERS: &str = "CN=Users,DC=ad,DC=example,DC=org";

fn connector(directory: &Samba, more: &Value) -> Opened {
    let mut config = json!({
        "host": directory.host(),
        "bindDN": Samba::ADMIN,
        "bindPW": Samba::PASSWORD,
        // The whole domain: it answers with referrals to its other parts, too.
        "userSearch": {
            "baseDN": "DC=ad,DC=example,DC=org",
            "filter": format!("(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=CN=staff,{USERS}))"),
            "username": ["sAMAccountName", "userPrincipalName"],
            "idAttr": "sAMAccountName",
            "nameAttr": "cn",
        },
        "groupSearch": {
            "baseDN": "DC=ad,DC=example,DC=org",
            "filter": "(objectClass=group)",
            "nameAttr": "cn",
            "userMatchers": [{"userAttr": "DN", "groupAttr": "member", "recursionGroupAttr": "member"}],
        },
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    open("ldap", &config, &FakeClock::at(ambient::Time::from_unix(1_900_000_000)))
}

fn person(name: &str, account: &str) -> String {
    let password: Vec<u8> =
        format!("\"Canary-1-{account}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let password = STANDARD.encode(password);
    format!(
        "dn: CN={name},{USERS}\nchangetype: add\nobjectClass: user\nsAMAccountName: {account}\n\
         userPrincipalName: {account}@ad.example.org\nmail: {account}@example.org\nuserAccountControl: 512\n\
         unicodePwd:: {password}\n\n"
    )
}

fn group(name: &str, members: &[&str]) -> String {
    let members: String = members.iter().map(|member| format!("member: CN={member},{USERS}\n")).collect();
    format!("dn: CN={name},{USERS}\nchangetype: add\nobjectClass: group\nsAMAccountName: {name}\n{members}\n")
}

fn change(name: &str, attribute: &str, value: &str) -> String {
    format!("dn: CN={name},{USERS}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n")
}

#[tokio::test]
#[ignore = "peer: samba"]
async fn attack_24_people_of_active_directory_come_in_while_their_accounts_are_open() {
    let ca = TestCa::new();
    let directory = Samba::start(&ca).await.unwrap();
    let people = [person("Alice A", "alice"), person("Bob B", "bob"), person("Eve E", "eve")].concat();
    let groups =
        [group("devs", &["Alice A", "Bob B"]), group("staff", &["devs"]), group("other", &["Eve E"])]
            .concat();
    directory.modify(&format!("{people}{groups}")).unwrap();
    let own = json!({"rootCAData": STANDARD.encode(ca.pem())});
    let opened = connector(&directory, &own);
    for name in ["alice", "ALICE", "alice@ad.example.org"] {
        let mut alice = login(&opened, name, "Canary-1-alice").await.unwrap().unwrap().identity;
        alice.groups.sort();
        assert_eq!((alice.user_id.as_str(), alice.email.as_str()), ("alice", "alice@example.org"));
        assert_eq!(alice.groups, ["devs", "staff"]);
    }
    assert!(login(&opened, "alice", "Canary-1-bob").await.unwrap().is_none());
    assert!(login(&opened, "eve", "Canary-1-eve").await.unwrap().is_none(), "the filter leaves her out");
    let start_tls = json!({"startTLS": true, "rootCAData": STANDARD.encode(ca.pem())});
    assert!(login(&connector(&directory, &start_tls), "bob", "Canary-1-bob").await.unwrap().is_some());
    for more in [json!({}), json!({"startTLS": true})] {
        let said = login(&connector(&directory, &more), "bob", "Canary-1-bob").await;
        assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "a stranger's authority: {said:?}");
    }
    let refresh = opened.connector.refresh().unwrap();
    for (name, account, attribute, value) in [
        ("Alice A", "alice", "userAccountControl", "514"),
        ("Bob B", "bob", "accountExpires", "130000000000000000"),
    ] {
        let word = format!("Canary-1-{account}");
        let before = login(&opened, account, &word).await.unwrap().unwrap();
        assert!(refresh.refresh(ALL, &before.identity, before.kept.expose()).await.is_ok());
        directory.modify(&change(name, attribute, value)).unwrap();
        assert!(login(&opened, account, &word).await.unwrap().is_none(), "{account}: the directory says no");
        let said = refresh.refresh(ALL, &before.identity, before.kept.expose()).await;
        assert!(
            matches!(said, Err(UpstreamError::Denied(_))),
            "{account}: and nobody typed a password: {said:?}"
        );
    }
}
