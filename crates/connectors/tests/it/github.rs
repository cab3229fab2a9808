//! GitHub, against a stub that speaks its documented API.

use std::collections::HashMap;
use std::time::Duration;

use config::Environment;
use provider::connector::{Flow, Hints, Identity, Opened, SignedIn, UpstreamError};
use serde_json::{Value, json};
use testkit::FakeClock;
use testkit::github::{Failure, GitHub, team};
use url::Url;
use wire::form::Form;

use crate::{OUR_ISSUER, context, faults_of, open, read};

pub(crate) struct Site {
    pub(crate) github: GitHub,
    pub(crate) opened: Opened,
    pub(crate) clock: FakeClock,
}

pub(crate) async fn site(more: Value) -> Site {
    let (github, clock) = (GitHub::start().await, FakeClock::default());
    let mut config = client(&json!({"hostName": github.host(), "rootCA": github.ca_pem()}));
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let opened = open("github", &config, &clock);
    Site { github, opened, clock }
}

fn client(more: &Value) -> Value {
    let redirect = format!("{OUR_ISSUER}/callback");
    let mut config = json!({"clientID": "obol", "clientSecret": "s&cret", "redirectURI": redirect});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn callback() -> Url {
    Url::parse(&format!("{OUR_ISSUER}/callback")).unwrap()
}

const ALL: Hints = Hints { offline: true, groups: true };
const NOTHING: Hints = Hints { offline: false, groups: false };

impl Site {
    async fn login(&self, scopes: Hints) -> Result<SignedIn, UpstreamError> {
        let Flow::Redirect(flow) = self.opened.connector.flow() else { panic!("no redirect") };
        let departure = flow.depart(scopes, &callback(), "the-state").await.unwrap();
        let query = format!("state=the-state&code={}", self.github.code(&departure.to));
        let form = Form::parse(&query, &[]).unwrap();
        flow.arrive(scopes, &callback(), departure.keep.expose(), &form).await
    }

    async fn groups(&self, scopes: Hints) -> Vec<String> {
        self.login(scopes).await.unwrap().identity.groups
    }

    async fn refresh(&self, kept: &[u8]) -> Result<SignedIn, UpstreamError> {
        let known = Identity { user_id: "583231".into(), ..Identity::default() };
        self.opened.connector.refresh().unwrap().refresh(ALL, &known, kept).await
    }
}

fn denied<T: std::fmt::Debug>(said: &Result<T, UpstreamError>) -> bool {
    matches!(said, Err(UpstreamError::Denied(_)))
}

#[tokio::test]
async fn github_signs_somebody_in_and_asks_again() {
    let site = site(json!({})).await;
    let signed_in = site.login(ALL).await.unwrap();
    let want = Identity {
        user_id: "583231".into(),
        username: "Mona".into(),
        preferred_username: "octocat".into(),
        email: "mona@example.com".into(),
        email_verified: true,
        groups: Vec::new(),
    };
    assert_eq!(signed_in.identity, want);
    let kept = br#"{"accessToken":"gho_canary","refreshToken":"","expiry":"0001-01-01T00:00:00Z"}"#;
    assert_eq!(signed_in.kept.expose(), kept, "as Dex stores it");
    assert!(site.login(NOTHING).await.unwrap().kept.expose().is_empty());
    assert_eq!(site.refresh(br#"{"accessToken":"gho_canary"}"#).await.unwrap().identity, want);
    site.github.set(|github| github.user["name"] = json!(null));
    assert_eq!(site.login(ALL).await.unwrap().identity.username, "octocat");
    assert!(denied(&site.refresh(br#"{"accessToken":"revoked"}"#).await));
    assert!(denied(&site.refresh(b"").await));
}

#[tokio::test]
async fn github_com_itself_is_where_browsers_go_by_default() {
    let opened = open("github", &client(&json!({"orgs": [{"name": "acme"}]})), &FakeClock::default());
    let Flow::Redirect(flow) = opened.connector.flow() else { panic!("no redirect") };
    let departure = flow.depart(NOTHING, &callback(), "s&t").await.unwrap();
    assert!(
        departure.to.as_str().starts_with("https://github.com/login/oauth/authorize?"),
        "{}",
        departure.to
    );
    let query: HashMap<String, String> = departure.to.query_pairs().into_owned().collect();
    for (name, value) in [
        ("client_id", "obol"),
        ("redirect_uri", "https://obol.example/dex/callback"),
        ("response_type", "code"),
        ("scope", "user:email read:org"),
        ("state", "s&t"),
    ] {
        assert_eq!(query[name], value);
    }
    let opened = open("github", &client(&json!({})), &FakeClock::default());
    let Flow::Redirect(flow) = opened.connector.flow() else { panic!("no redirect") };
    for (scopes, asked) in [(NOTHING, "user:email"), (ALL, "user:email read:org")] {
        let departure = flow.depart(scopes, &callback(), "s").await.unwrap();
        assert!(departure.to.query_pairs().any(|(name, value)| name == "scope" && value == asked));
    }
}

#[tokio::test]
async fn attack_21_a_code_is_bound_to_the_attempt_and_good_once() {
    let site = site(json!({})).await;
    let Flow::Redirect(flow) = site.opened.connector.flow() else { panic!("no redirect") };
    let mine = flow.depart(ALL, &callback(), "a").await.unwrap();
    let theirs = flow.depart(ALL, &callback(), "b").await.unwrap();
    let query = format!("code={}", site.github.code(&theirs.to));
    let form = Form::parse(&query, &[]).unwrap();
    assert!(
        denied(&flow.arrive(ALL, &callback(), mine.keep.expose(), &form).await),
        "another attempt's code"
    );
    let query = format!("code={}", site.github.code(&mine.to));
    let form = Form::parse(&query, &[]).unwrap();
    assert!(flow.arrive(ALL, &callback(), mine.keep.expose(), &form).await.is_ok());
    assert!(denied(&flow.arrive(ALL, &callback(), mine.keep.expose(), &form).await), "used");
    for (query, no) in
        [("error=access_denied", true), ("error=redirect_uri_mismatch", false), ("code=", false), ("", false)]
    {
        let form = Form::parse(query, &[]).unwrap();
        let said = flow.arrive(ALL, &callback(), mine.keep.expose(), &form).await;
        assert!(said.is_err() && denied(&said) == no, "{query}: {said:?}");
    }
    let form = Form::parse("code=x", &[]).unwrap();
    assert!(matches!(flow.arrive(ALL, &callback(), b"", &form).await, Err(UpstreamError::Invalid(_))));
}

#[tokio::test]
async fn dex_k2_organisations_are_demanded_whatever_is_asked_for() {
    let orgs = json!({"orgs": [{"name": "acme", "teams": ["Dev", "Ops"]}, {"name": "guild"}]});
    for (config, by_name) in [(orgs, false), (json!({"org": "acme"}), true)] {
        for scopes in [ALL, NOTHING] {
            let site = site(config.clone()).await;
            let teams = [team("Acme", "Dev", "dev"), team("acme", "Art", "art"), team("other", "Ops", "ops")];
            site.github.set(|github| github.teams = teams.to_vec());
            // A team of that name somewhere else, or membership that GitHub does not confirm, opens nothing.
            for answer in [404, 302] {
                site.github.set(|github| github.members = HashMap::from([("acme".into(), answer)]));
                assert!(denied(&site.login(scopes).await), "{answer} {config}");
            }
            site.github.set(|github| github.members = HashMap::from([("acme".into(), 204)]));
            let want: &[&str] = if by_name { &["Dev", "Art"] } else { &["acme:Dev"] };
            let signed_in = site.login(scopes).await.unwrap();
            assert_eq!(signed_in.identity.groups, want, "{config}");
            let kept = br#"{"accessToken":"gho_canary"}"#;
            assert!(site.refresh(kept).await.is_ok());
            site.github.set(|github| github.members.clear());
            assert!(denied(&site.refresh(kept).await), "who left the organisation is out at refresh");
            site.github.set(|github| github.members = HashMap::from([("acme".into(), 500)]));
            let said = site.refresh(kept).await;
            assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "no verdict: {said:?}");
        }
    }
    let site = site(json!({"orgs": [{"name": "acme", "teams": ["Ops"]}, {"name": "guild"}]})).await;
    site.github.set(|github| {
        github.teams = vec![team("acme", "Dev", "dev")];
        github.members = HashMap::from([("acme".into(), 204)]);
    });
    assert!(denied(&site.login(ALL).await), "in the organisation, in none of its teams");
    site.github.set(|github| _ = github.members.insert("guild".into(), 204));
    assert!(site.groups(ALL).await.is_empty(), "guild demands no team, and acme gives none");
}

#[tokio::test]
async fn all_groups_are_loaded_page_by_page_where_that_is_wanted() {
    let everything = |github: &mut testkit::github::State| {
        github.orgs = ["a", "b", "c"].map(|login| json!({"login": login, "id": 1})).to_vec();
        github.teams =
            (0..5).map(|n| team(["a", "b"][n % 2], &format!("T {n}"), &format!("t-{n}"))).collect();
    };
    let site_ = site(json!({"loadAllGroups": true})).await;
    site_.github.set(everything);
    assert_eq!(site_.groups(ALL).await, ["a", "a:T 0", "a:T 2", "a:T 4", "b", "b:T 1", "b:T 3", "c"]);
    assert!(site_.groups(NOTHING).await.is_empty());
    let site_ = site(json!({"loadAllGroups": true, "teamNameField": "both"})).await;
    site_.github.set(everything);
    assert_eq!(site_.groups(ALL).await[..3], ["a", "a:T 0", "a:t-0"]);
    let site_ = site(json!({"teamNameField": "slug", "orgs": [{"name": "b", "teams": ["t-3"]}]})).await;
    site_.github.set(everything);
    site_.github.set(|github| github.members = HashMap::from([("b".into(), 204)]));
    assert_eq!(site_.groups(ALL).await, ["b:t-3"]);
    let site_ = site(json!({})).await;
    site_.github.set(everything);
    assert!(site_.groups(ALL).await.is_empty());
}

#[tokio::test]
async fn attack_24_addresses_are_verified_by_github_alone() {
    let mail = |address: &str, verified: bool, primary: bool| json!({"email": address, "verified": verified, "primary": primary});
    let cases = [
        // The public address counts as verified only if the list says so of it.
        (
            json!({}),
            json!("p@x.org"),
            vec![mail("p@x.org", true, false), mail("m@x.org", true, true)],
            Some(("p@x.org", true)),
        ),
        (json!({}), json!("p@x.org"), vec![mail("m@x.org", true, true)], Some(("p@x.org", false))),
        (
            json!({}),
            json!(null),
            vec![mail("a@x.org", true, false), mail("m@x.org", true, true)],
            Some(("m@x.org", true)),
        ),
        // An Enterprise server may verify none; then none is.
        (json!({}), json!(null), vec![mail("m@x.org", false, true)], Some(("m@x.org", false))),
        (json!({}), json!(null), vec![mail("m@x.org", true, false)], None),
        (
            json!({"preferredEmailDomain": "*.corp"}),
            json!("p@x.org"),
            vec![mail("m@x.org", true, true), mail("w@eu.corp", true, false)],
            Some(("w@eu.corp", true)),
        ),
        (
            json!({"preferredEmailDomain": "eu.corp"}),
            json!(null),
            vec![mail("m@x.org", true, true), mail("w@eu.corp", false, false)],
            Some(("m@x.org", true)),
        ),
    ];
    for (config, public, emails, want) in cases {
        let site = site(config).await;
        site.github.set(|github| {
            github.user["email"] = public.clone();
            github.emails = emails.clone();
        });
        let said = site.login(ALL).await;
        match want {
            None => assert!(denied(&said), "{said:?}"),
            Some((address, verified)) => {
                let identity = said.unwrap().identity;
                assert_eq!(
                    (identity.email.as_str(), identity.email_verified),
                    (address, verified),
                    "{emails:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_login_is_an_id_only_by_the_operators_word() {
    let site = site(json!({"useLoginAsID": true})).await;
    assert_eq!(site.login(ALL).await.unwrap().identity.user_id, "octocat");
    site.github.set(|github| github.user["login"] = json!("../../orgs"));
    assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))));
    let told = faults_of("github", &client(&json!({"useLoginAsID": true})));
    assert!(told.contains("warning: connectors[0].config: uses logins as IDs"), "{told}");
}

#[tokio::test]
async fn tokens_that_end_are_renewed() {
    let site = site(json!({})).await;
    site.github.set(|github| github.granted = json!({"refresh_token": "ghr_1", "expires_in": 28800}));
    let kept = site.login(ALL).await.unwrap().kept;
    let stored: Value = serde_json::from_slice(kept.expose()).unwrap();
    assert_eq!((&stored["refreshToken"], stored["expiry"].as_str().is_some()), (&json!("ghr_1"), true));
    let asked = || site.github.server().requests("/login/oauth/access_token");
    let before = asked();
    site.refresh(kept.expose()).await.unwrap();
    assert_eq!(asked(), before, "it lives");
    site.clock.advance(Duration::from_secs(28801));
    site.github.set(|github| github.token = "gho_next".into());
    let again = site.refresh(kept.expose()).await.unwrap();
    assert_eq!(asked(), before + 1);
    let stored: Value = serde_json::from_slice(again.kept.expose()).unwrap();
    assert_eq!(stored["accessToken"], "gho_next");
    site.github.set(|github| github.granted = json!({"refresh_token": "ghr_2"}));
    site.clock.advance(Duration::from_secs(28801));
    assert!(denied(&site.refresh(kept.expose()).await), "the refresh token was used up");
}

#[tokio::test]
async fn attack_12_a_next_page_elsewhere_does_not_get_the_token() {
    let other = GitHub::start().await;
    let site = site(json!({"loadAllGroups": true})).await;
    site.github.set(|github| {
        github.orgs = vec![json!({"login": "a", "id": 1}); 3];
        github.next = Some(format!("https://{}/api/v3/user/orgs?page=2", other.host()));
    });
    let said = site.login(ALL).await;
    assert!(matches!(&said, Err(UpstreamError::Invalid(why)) if why.contains("another server")), "{said:?}");
    assert!(other.server().seen().is_empty());
    // A list that never ends is none.
    let itself = format!("https://{}/api/v3/user/orgs?page=1", site.github.host());
    site.github.set(|github| github.next = Some(itself));
    assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))));
}

#[tokio::test]
async fn attack_14_githubs_trouble_is_no_verdict() {
    let limited = vec![("x-ratelimit-remaining", "0")];
    for (path, status, headers, ends) in [
        ("/api/v3/user", 401, vec![], true),
        ("/api/v3/user", 403, vec![], false),
        ("/api/v3/user", 403, limited, false),
        ("/api/v3/user/emails", 500, vec![], false),
        ("/api/v3/user/emails", 404, vec![], false),
        ("/api/v3/user", 429, vec![], false),
        ("/api/v3/user", 302, vec![("location", "https://evil.example/")], false),
    ] {
        let site = site(json!({})).await;
        site.github.set(|github| github.fails = Some(Failure { path, status, headers }));
        let said = site.refresh(br#"{"accessToken":"gho_canary"}"#).await;
        assert!(said.is_err() && denied(&said) == ends, "{path} {status}: {said:?}");
    }
    let site = site(json!({})).await;
    site.github.set(|github| github.user = json!({"login": "octocat"}));
    assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))), "nobody without an id");
}

/// In the shape of Dex's guide.
#[test]
fn a_github_configuration_of_the_shape_of_the_guide_starts_unchanged() {
    let text = "
connectors:
- type: github
  id: github
  name: GitHub
  config:
    clientID: $GITHUB_CLIENT_ID
    clientSecret: $GITHUB_CLIENT_SECRET
    redirectURI: https://obol.example/dex/callback
    orgs:
    - name: my-organization
    - name: my-organization-with-teams
      teams:
      - red-team
      - blue-team
    loadAllGroups: false
    teamNameField: slug
    useLoginAsID: false
";
    let environment =
        Environment::from_iter([("GITHUB_CLIENT_ID", "id"), ("GITHUB_CLIENT_SECRET", "secret")]);
    let (opened, faults) = read(text, &environment, &context(&FakeClock::default()));
    assert!(faults.all().is_empty() && faults.unsupported().is_empty(), "{faults}");
    assert_eq!(opened.len(), 1);
}

#[test]
fn dex_k13_githubs_faults_are_told_at_start() {
    for (config, line) in [
        (json!({}), "config.clientID: is missing"),
        (client(&json!({"clientSecret": ""})), "config: has an empty clientID or clientSecret"),
        (client(&json!({"redirectURI": "https://elsewhere/callback"})), "which is not our callback"),
        (client(&json!({"org": "a", "orgs": [{"name": "b"}]})), "config: has both org and orgs"),
        (client(&json!({"orgs": [{"name": "a/b"}]})), "config.orgs[0]: has a name that is no organisation's"),
        (client(&json!({"orgs": [{"nam": "a"}]})), "config.orgs[0].name: is missing"),
        (
            client(&json!({"orgs": [{"name": "a", "team": ["x"]}]})),
            "config.orgs[0].team: is not a known key; did you mean teams?",
        ),
        (client(&json!({"org": "a b"})), "config: has an org that is no organisation's name"),
        (client(&json!({"hostName": "https://a"})), "config: has a hostName that is no host name"),
        (client(&json!({"rootCA": "nonsense", "hostName": "a"})), "config.rootCA: cannot be used"),
        (client(&json!({"teamNameField": "id"})), "config.teamNameField: is \"id\"; write one of"),
        (
            client(&json!({"preferredEmailDomain": "a.*"})),
            "config: has a preferredEmailDomain whose last label is *",
        ),
    ] {
        let told = faults_of("github", &config);
        assert!(told.contains(line) && told.contains("error"), "{line}\n---\n{told}");
    }
    let told = faults_of("github", &client(&json!({"orgs": []})));
    assert!(told.contains("warning: connectors[0].config: has orgs without any"), "{told}");
}
