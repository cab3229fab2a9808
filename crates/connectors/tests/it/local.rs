//! The password database.

use std::sync::Arc;

use ambient::Secret;
use config::Environment;
use provider::connector::{Flow, Hints, Identity, Opened, SignedIn, UpstreamError};
use testkit::FakeClock;

use crate::{context, read};

/// bcrypt of "password" at cost 10, as Dex's examples have it.
const HASH: &str = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W";

fn rows() -> String {
    let base64 = "JDJhJDEwJDJiMmNVOENQaE9UYUdyczFIUlF1QXVlUzdKVFQ1WkhzSFN6WWlGUG0xbGVaY2s3TWM4VDRX";
    format!(
        "enablePasswordDB: true
staticPasswords:
- {{email: Ana@Example.com, hash: {HASH}, username: ana, name: Ana B, preferredUsername: ab, userID: u1, groups: [x]}}
- {{email: b@example.com, hash: {base64}, username: b, userID: u2, emailVerified: false}}
- {{email: c@example.com, hashFromEnv: HASH, username: c, userID: u3}}
"
    )
}

fn open() -> Opened {
    let environment = Environment::from_iter([("HASH", HASH)]);
    let (mut opened, faults) = read(&rows(), &environment, &context(&FakeClock::default()));
    assert!(faults.all().is_empty(), "{faults}");
    opened.remove(0)
}

async fn login(opened: &Opened, name: &str, password: &str) -> Option<SignedIn> {
    let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
    flow.login(Hints::default(), name, &Secret::from(password)).await.unwrap()
}

#[tokio::test]
async fn the_right_password_signs_in() {
    let opened = open();
    let ana = login(&opened, "aNA@example.COM", "password").await.unwrap().identity;
    let want = Identity {
        user_id: "u1".into(),
        username: "Ana B".into(),
        preferred_username: "ab".into(),
        email: "Ana@Example.com".into(),
        email_verified: true,
        groups: vec!["x".into()],
    };
    assert_eq!(ana, want);
    let b = login(&opened, "b@example.com", "password").await.unwrap().identity;
    assert_eq!((b.username.as_str(), b.email_verified), ("b", false));
    assert!(login(&opened, "c@example.com", "password").await.is_some());
    assert!(opened.connector.is_written_down(), "an operator named these groups");
}

#[tokio::test]
async fn dex_l8_wrong_names_and_passwords_end_alike() {
    let opened = open();
    let too_long = format!("password{}", "x".repeat(65));
    for (name, password) in [
        ("ana@example.com", "Password"),
        ("ana@example.com", ""),
        ("ana@example.com", "password\0"),
        ("ana@example.com", too_long.as_str()),
        ("nobody@example.com", "password"),
        ("nobody@example.com", "-"),
        ("", "password"),
        ("", ""),
    ] {
        assert!(login(&opened, name, password).await.is_none(), "{name} {password:?}");
    }
}

/// One name is stormed, in every spelling: that name has to wait, and nobody else.
#[tokio::test]
async fn attack_25_a_storm_on_one_name_is_turned_away_and_others_sign_in() {
    let opened = Arc::new(open());
    let mut storm = tokio::task::JoinSet::new();
    for n in 0..80 {
        let opened = Arc::clone(&opened);
        let name = if n % 2 == 0 { "NOBODY@example.com" } else { "nobody@Example.COM" };
        storm.spawn(async move {
            let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
            flow.login(Hints::default(), name, &Secret::from("x")).await.map(|who| who.is_some())
        });
    }
    // All of them have asked before anybody else does: this runs on one thread, in order.
    tokio::task::yield_now().await;
    assert!(login(&opened, "ana@example.com", "password").await.is_some());
    assert!(login(&opened, "b@example.com", "wrong").await.is_none());
    let said = storm.join_all().await;
    let wrong = said.iter().filter(|said| matches!(said, Ok(false))).count();
    assert!(said.iter().all(|said| matches!(said, Ok(false) | Err(UpstreamError::Busy))));
    // Four, and perhaps some that asked after one of those was answered.
    assert!((4..20).contains(&wrong), "{wrong}");
    assert!(login(&opened, "ana@example.com", "password").await.is_some());
}

#[tokio::test]
async fn a_refresh_needs_the_row() {
    let opened = open();
    let seam = opened.connector.refresh().unwrap();
    let ana = login(&opened, "ana@example.com", "password").await.unwrap().identity;
    let again = seam.refresh(Hints::default(), &ana, b"").await.unwrap();
    assert_eq!(again.identity, ana);
    for gone in [
        Identity { user_id: "u2".into(), ..ana.clone() },
        Identity { email: "nobody@example.com".into(), ..ana.clone() },
    ] {
        let said = seam.refresh(Hints::default(), &gone, b"").await;
        assert!(matches!(said, Err(UpstreamError::Denied(_))));
    }
}

#[test]
fn faults_of_rows_are_told() {
    let weak = "$2a$04$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W";
    let text = format!(
        "enablePasswordDB: true
staticPasswords:
- {{email: a@example.com, hash: plain, userID: a}}
- {{email: b@example.com, userID: b}}
- {{email: c@example.com, hash: {weak}, userID: c}}
- {{email: d@example.com, hash: {HASH}, hashFromEnv: X, userID: d}}
- {{email: e@example.com, hashFromEnv: UNSET, userID: e}}
- {{email: f@example.com, hash: {HASH}}}
- {{email: g@example.com, hash: {HASH}, userID: g}}
- {{email: G@example.com, hash: {HASH}, userID: g2}}
- {{hash: {HASH}, userID: h}}
"
    );
    let told = read(&text, &Environment::default(), &context(&FakeClock::default())).1.to_string();
    for line in [
        "staticPasswords[0]: has a hash that is not bcrypt",
        "staticPasswords[1].hash: is missing",
        "staticPasswords[2]: has a bcrypt hash of cost 4",
        "staticPasswords[3].hashFromEnv: is given beside hash",
        "staticPasswords[4].hashFromEnv: names the environment variable \"UNSET\"",
        "staticPasswords[5]: has no userID",
        "staticPasswords[7]: has the e-mail address of another row",
        "staticPasswords[8].email: is missing",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    assert!(!told.contains("plain"), "a hash is a secret: {told}");
    let unused =
        rows().replace("enablePasswordDB: true", "connectors: [{type: mockCallback, id: m, name: M}]");
    let environment = Environment::from_iter([("HASH", HASH)]);
    let told = read(&unused, &environment, &context(&FakeClock::default())).1.to_string();
    assert!(told.contains("staticPasswords[0]: has no effect without the password database"), "{told}");
}

#[test]
fn a_user_without_a_row_is_not_known() {
    let opened = open();
    assert!(opened.connector.knows("u1") && opened.connector.knows("u3"));
    assert!(!opened.connector.knows("u4") && !opened.connector.knows(""));
}
