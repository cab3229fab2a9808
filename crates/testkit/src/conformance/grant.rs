//! What every grant keeps, by the table [`provider::grants::TABLE`]: who may ask, what may be asked, one event for each
//! decision and no secret in it, nothing spent for an answer that was not given, nothing spent twice.

mod asking;
mod faults;

use ambient::{BoxFuture, Tasks};
use provider::error::Error;
use provider::grants::{Grant, TABLE};
use provider::store::{Kind, Rec};
use serde_json::json;
use wire::oauth::{TokenResponse, grant_type};

use crate::stage::{APP_SECRET, Stage, VERIFIER, basic};
use crate::upstream::{NAME, PASSWORD};

/// Runs every case with every grant, each on a stage of its own, and says which ones failed.
pub async fn run_all() {
    let mut failed = Vec::new();
    for grant in TABLE {
        for (name, case) in CASES {
            if Tasks::default().finish(case(grant)).await.is_err() {
                failed.push(format!("{} {name}", grant.kind()));
            }
        }
    }
    assert!(failed.is_empty(), "grants break their contract: {}", failed.join(", "));
}

type Case = fn(&'static dyn Grant) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($case)), |grant| Box::pin($module::$case(grant)))),+),+]
    };
}

const CASES: &[(&str, Case)] = cases! {
    asking: good_requests_are_granted, bad_clients_are_refused, what_the_client_must_be, repeated_parameters_are_refused,
        unknown_parameters_do_no_harm, garbage_is_refused, switched_off_is_unsupported, removed_is_dead_at_next_use;
    faults: no_capacity_spends_nothing, a_faulty_store_spends_nothing_twice, a_dead_store_is_our_fault,
        giving_up_leaves_before_or_after, of_many_at_once_one_is_granted;
};

/// One good request.
struct Sample {
    /// The form without client authentication.
    form: String,
    /// It is good for one answer.
    single_use: bool,
    /// It needs the store.
    stored: bool,
}

/// A grant that stands in the table without a sample fails here.
async fn sample(stage: &Stage, grant: &dyn Grant, client: &str) -> Sample {
    let kind = grant.kind();
    let (form, single_use) = match kind {
        grant_type::AUTHORIZATION_CODE => {
            (redemption(client, &stage.sign_in(client, "openid offline_access").await), true)
        }
        grant_type::REFRESH_TOKEN => {
            let code = stage.sign_in(client, "openid offline_access").await;
            let form = with_client(&redemption(client, &code), client);
            let refresh = stage.token(None, &form).await.unwrap().refresh_token.unwrap();
            stage.decisions();
            (format!("grant_type=refresh_token&refresh_token={refresh}&scope=openid"), true)
        }
        grant_type::DEVICE_CODE => {
            let form = with_client("scope=openid+offline_access", client);
            let (device_code, user_code) = stage.device(None, &form).await;
            stage.decide_for(&user_code, true).await.unwrap();
            (format!("grant_type={kind}&device_code={device_code}"), true)
        }
        grant_type::PASSWORD => {
            let person = format!("username={NAME}&password={PASSWORD}");
            (format!("grant_type={kind}&{person}&scope=openid+offline_access&nonce=n"), false)
        }
        grant_type::CLIENT_CREDENTIALS => (format!("grant_type={kind}&scope=openid+profile&nonce=n"), false),
        grant_type::TOKEN_EXCHANGE => {
            let now = ambient::Clock::now(&stage.clock);
            let subject =
                stage.upstream.token(now, json!({"sub": "job-7", "aud": crate::stage::ISSUER})).sign();
            (
                format!(
                    "grant_type={kind}&subject_token={subject}&subject_token_type={ID_TOKEN}\
                     &requested_token_type={ID_TOKEN}&scope=openid&connector_id=up&audience=peer"
                )
                .replace("audience=peer", if client == "app" { "audience=peer" } else { "nonce=" }),
                false,
            )
        }
        other => panic!("add a sample for the grant {other}"),
    };
    stage.decisions();
    Sample { form, single_use, stored: single_use || kind == grant_type::PASSWORD }
}

fn redemption(client: &str, code: &str) -> String {
    match client {
        "native" => format!(
            "grant_type=authorization_code&code={code}&redirect_uri=http://127.0.0.1:1/cb&code_verifier={VERIFIER}"
        ),
        _ => format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb"),
    }
}

/// With the client's proof in the form.
fn with_client(form: &str, client: &str) -> String {
    match client {
        "app" => format!("{form}&client_id=app&client_secret={APP_SECRET}"),
        other => format!("{form}&client_id={other}"),
    }
}

/// Asks, and sees that exactly one decision is told, that it says what was decided, and that it holds nothing secret.
async fn ask(stage: &Stage, authorization: Option<&str>, form: &str) -> Result<TokenResponse, Error> {
    stage.decisions();
    let outcome = stage.token(authorization, form).await;
    check_told(stage, form, &outcome);
    outcome
}

/// As the client `app`.
async fn ask_as_app(stage: &Stage, form: &str) -> Result<TokenResponse, Error> {
    ask(stage, Some(&basic("app", APP_SECRET)), form).await
}

fn check_told(stage: &Stage, form: &str, outcome: &Result<TokenResponse, Error>) {
    let told = stage.decisions();
    assert_eq!(told.len(), 1, "one decision for {form}");
    assert_eq!(told[0].allowed, outcome.is_ok(), "{told:?}");
    assert_eq!(told[0].error.is_some(), outcome.is_err(), "{told:?}");
    let shown = format!("{told:?} {outcome:?}");
    let mut secrets = vec![APP_SECRET.to_owned()];
    for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
        if SECRET.contains(&&*name) && value.len() > 8 {
            secrets.extend([value.to_string(), value.rsplit('.').next().unwrap().to_owned()]);
        }
    }
    if let Ok(tokens) = outcome {
        assert!(told[0].token_id.is_some() && told[0].subject.is_some() && told[0].client.is_some());
        let given = [Some(&tokens.access_token), tokens.id_token.as_ref(), tokens.refresh_token.as_ref()];
        secrets.extend(given.into_iter().flatten().cloned());
    }
    for secret in secrets.iter().filter(|secret| secret.len() > 8) {
        assert!(!shown.contains(secret.as_str()), "{secret} is told in {shown}");
    }
}

/// The grants as they are stored.
fn grants(stage: &Stage) -> Vec<Rec> {
    stage.memory.all(Kind("grant"))
}

const SECRET: [&str; 8] = [
    "code",
    "code_verifier",
    "refresh_token",
    "subject_token",
    "client_secret",
    "actor_token",
    "device_code",
    "password",
];
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
