//! Every kind of connector against the contract of its seam, by table. A kind joins with one row.

use std::collections::BTreeSet;

use ambient::BoxFuture;
use config::Environment;
use http::{HeaderName, HeaderValue};
use provider::connector::{Identity, Opened};
use serde_json::{Value, json};
use testkit::FakeClock;
use testkit::conformance::connector::entrance::{Entrance, Open, Way, run_all};
use url::Url;

use crate::rest::Rest;
use crate::{
    OUR_ISSUER, atlassian_crowd, bitbucket_cloud, context, gitea, github, gitlab, keystone, ldap, linkedin,
    microsoft, oauth, oidc, open, openshift, read,
};

/// What `connectors[].type` calls it (or `local`), and the way in.
const TABLE: &[(&str, Open)] = &[
    ("atlassian-crowd", crowd),
    ("authproxy", || Box::pin(async { authproxy() })),
    ("bitbucket-cloud", || {
        Box::pin(async { bitbucket_cloud::site(json!({})).await.entrance(bitbucket_cloud::ana()) })
    }),
    ("gitea", || {
        Box::pin(async { gitea::site(json!({"loadAllGroups": true})).await.entrance(gitea::ana()) })
    }),
    ("github", github),
    ("gitlab", || Box::pin(async { gitlab::site(json!({})).await.entrance(gitlab::ana()) })),
    ("jwt", || Box::pin(async { workload("jwt", &json!({"issuer": "https://a.example"})) })),
    ("keystone", keystone),
    ("kubernetes", || Box::pin(async { workload("kubernetes", &json!({"issuer": "https://a.example"})) })),
    ("ldap", directory),
    ("linkedin", || Box::pin(async { linkedin::site(json!({})).await.entrance(linkedin::ana()) })),
    ("local", || Box::pin(async { local() })),
    ("microsoft", || Box::pin(async { microsoft::site(json!({})).await.entrance(microsoft::ana()) })),
    ("mockCallback", || Box::pin(async { mock_callback() })),
    ("mockPassword", || Box::pin(async { mock_password() })),
    ("oauth", || Box::pin(async { oauth::site(json!({})).await.entrance(oauth::ana()) })),
    ("oidc", open_id_provider),
    ("openshift", || Box::pin(async { openshift::site(json!({})).await.entrance(openshift::ana()) })),
];

#[tokio::test]
async fn every_kind_keeps_the_contract() {
    let rows: BTreeSet<_> = TABLE.iter().map(|(kind, _)| *kind).collect();
    let kinds: BTreeSet<_> = connectors::KINDS.iter().map(|kind| kind.kind).chain(["local"]).collect();
    assert_eq!(rows, kinds, "each kind has its row");
    for (kind, open) in TABLE {
        run_all(kind, *open).await;
    }
}

fn workload(kind: &str, config: &Value) -> Entrance {
    let clock = FakeClock::default();
    Entrance { opened: open(kind, config, &clock), clock, way: Way::None, person: Identity::default() }
}

fn local() -> Entrance {
    let clock = FakeClock::default();
    let text = "enablePasswordDB: true
staticPasswords:
- {email: ana@example.com, hash: $2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W, name: Ana, userID: u1, groups: [x]}
";
    let (mut opened, faults) = read(text, &Environment::default(), &context(&clock));
    assert!(faults.all().is_empty(), "{faults}");
    let person = Identity {
        user_id: "u1".into(),
        username: "Ana".into(),
        email: "ana@example.com".into(),
        email_verified: true,
        groups: vec!["x".into()],
        ..Identity::default()
    };
    let way = Way::Password { name: "ana@example.com", password: "password" };
    Entrance { opened: opened.remove(0), clock, way, person }
}

fn kilgore(groups: &[&str]) -> Identity {
    Identity {
        user_id: "0-385-28089-0".into(),
        username: "Kilgore Trout".into(),
        email: "kilgore@kilgore.trout".into(),
        email_verified: true,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Identity::default()
    }
}

fn mock_password() -> Entrance {
    let clock = FakeClock::default();
    let opened = open("mockPassword", &json!({"username": "foo", "password": "barbecue"}), &clock);
    let way = Way::Password { name: "foo", password: "barbecue" };
    Entrance { opened, clock, way, person: kilgore(&[]) }
}

fn authproxy() -> Entrance {
    let clock = FakeClock::default();
    let config = json!({
        "trustedProxies": ["10.0.0.0/8"], "userIDHeader": "X-Remote-User-Id", "groupHeader": "X-Remote-Group",
    });
    let opened = open("authproxy", &config, &clock);
    let sent = [("x-remote-user", "ana"), ("x-remote-user-id", "u1"), ("x-remote-group", "x")];
    let headers = sent.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let way = Way::Proxied { from: [10, 0, 0, 1].into(), headers: headers.into_iter().collect() };
    let person = Identity {
        user_id: "u1".into(),
        username: "ana".into(),
        email: "ana".into(),
        groups: vec!["x".into()],
        ..Identity::default()
    };
    Entrance { opened, clock, way, person }
}

/// The stub of GitHub lives as long as the closure that has it.
fn github() -> BoxFuture<'static, Entrance> {
    Box::pin(async {
        let github::Site { github, opened, clock } = github::site(json!({})).await;
        let back = move |to: &Url| format!("code={}", github.code(to));
        let person = Identity {
            user_id: "583231".into(),
            username: "Mona".into(),
            preferred_username: "octocat".into(),
            email: "mona@example.com".into(),
            email_verified: true,
            groups: Vec::new(),
        };
        let refused = vec!["", "error=access_denied", "error=access_denied&code=c", "code=", "state=x"];
        Entrance { opened, clock, way: Way::Redirect { back: Box::new(back), refused }, person }
    })
}

fn crowd() -> BoxFuture<'static, Entrance> {
    Box::pin(async {
        let (rest, opened) = atlassian_crowd::site(json!({})).await;
        rest.demand(
            |said| said["username"] == "a&b" && said["password"] == "right",
            (400, json!({"reason": "INVALID_USER_AUTHENTICATION"})),
        );
        by_password(rest, opened, "a&b", atlassian_crowd::ana())
    })
}

fn keystone() -> BoxFuture<'static, Entrance> {
    Box::pin(async {
        let (rest, opened) = keystone::site(json!({})).await;
        let is_good = |said: &Value| {
            let user = &said["auth"]["identity"]["password"]["user"];
            (user["name"] == "ana" && user["password"] == "right")
                || (user["name"] == "admin" && user["password"] == "canary")
        };
        rest.demand(is_good, (401, json!({})));
        by_password(rest, opened, "ana", keystone::ana())
    })
}

/// The stub answers until the tests end.
fn by_password(rest: Rest, opened: Opened, name: &'static str, person: Identity) -> Entrance {
    Box::leak(Box::new(rest));
    let way = Way::Password { name, password: "right" };
    Entrance { opened, clock: FakeClock::default(), way, person }
}

fn directory() -> BoxFuture<'static, Entrance> {
    Box::pin(async {
        let clock = FakeClock::default();
        let host = ldap::Stub::start(ldap::alice).await.stay();
        let opened = open("ldap", &ldap::plain(&host, &json!({})), &clock);
        let person = Identity {
            user_id: "alice".into(),
            username: "Alice A".into(),
            email: "alice@example.org".into(),
            ..Identity::default()
        };
        Entrance { opened, clock, way: Way::Password { name: "alice", password: "right" }, person }
    })
}

fn mock_callback() -> Entrance {
    let clock = FakeClock::default();
    let person = kilgore(&["authors"]);
    // It lets in whoever comes back.
    let back = |to: &Url| to.query().unwrap_or_default().to_owned();
    let way = Way::Redirect { back: Box::new(back), refused: Vec::new() };
    Entrance { opened: open("mockCallback", &json!({}), &clock), clock, way, person }
}

fn open_id_provider() -> BoxFuture<'static, Entrance> {
    Box::pin(async {
        let config = json!({"insecureEnableGroups": true});
        let site = oidc::site(oidc::client(&config)).await;
        let (opened, clock, issuer) = (site.opened, site.clock, site.issuer);
        let back = move |to: &Url| {
            let parameter =
                |wanted: &str| to.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
            let id_token = issuer.mint(json!({
                "sub": "ana", "aud": "obol", "nonce": parameter("nonce"), "name": "Ana", "email": "a@example.com",
                "email_verified": true, "groups": ["x"],
            }));
            let answer = json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token, "refresh_token": "rt"});
            issuer.set_answer("/token", 200, answer);
            assert_eq!(parameter("redirect_uri"), format!("{OUR_ISSUER}/callback"));
            "code=c".to_owned()
        };
        let person = Identity {
            user_id: "ana".into(),
            username: "Ana".into(),
            email: "a@example.com".into(),
            email_verified: true,
            groups: vec!["x".into()],
            ..Identity::default()
        };
        let refused = vec!["", "error=access_denied", "error=access_denied&code=c", "code=", "state=x"];
        Entrance { opened, clock, way: Way::Redirect { back: Box::new(back), refused }, person }
    })
}
