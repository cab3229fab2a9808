//! The upstream with one name and one password.

use ambient::Secret;
use provider::connector::{Flow, Hints};
use serde_json::json;
use testkit::FakeClock;

use crate::{faults_of, open};

#[tokio::test]
async fn one_name_and_one_password_are_good_and_nothing_else() {
    let opened = open("mockPassword", &json!({"username": "foo", "password": "bar"}), &FakeClock::default());
    let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
    assert_eq!(flow.prompt(), "Username");
    for (name, password) in
        [("foo", "Bar"), ("Foo", "bar"), ("foo", ""), ("", "bar"), ("foo", "bar2"), ("foo", "ba")]
    {
        let said = flow.login(Hints::default(), name, &Secret::from(password)).await.unwrap();
        assert!(said.is_none(), "{name} {password}");
    }
    let signed_in = flow.login(Hints::default(), "foo", &Secret::from("bar")).await.unwrap().unwrap();
    assert_eq!(signed_in.identity.user_id, "0-385-28089-0");
    assert!(signed_in.identity.groups.is_empty());
    assert_eq!(signed_in.kept.expose(), br#"{"test": "true"}"#, "as Dex stores it");
    let seam = opened.connector.refresh().unwrap();
    let again = seam.refresh(Hints::default(), &signed_in.identity, b"").await.unwrap();
    assert_eq!(again.identity, signed_in.identity);
}

#[test]
fn neither_name_nor_password_may_be_empty() {
    for config in
        [json!({}), json!({"username": "", "password": "x"}), json!({"username": "x", "password": ""})]
    {
        let told = faults_of("mockPassword", &config);
        assert!(told.contains("connectors[0].config: needs a username and a password"), "{told}");
    }
}
