//! The API server's own authenticator beside ours, on generated configurations and tokens, valid and broken. What passes here
//! passes there with the same identity; what is refused here alone is refused for a reason of `EXPLAINED`, which
//! docs/authentication.md tells.

mod generate;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ambient::{Clock as _, SystemClock};
use config::Faults;
use proxy::{Configuration, Outcome, Rights};
use serde_json::{Value, json};
use testkit::issuer::TestKey;
use testkit::{FakeClock, Issuer};

use crate::client::{self, get};
use crate::front::{Front, Plan};
use generate::Generator;

const CONFIGURATIONS: usize = 400;
const TOKENS: usize = 20;

/// Why a token is refused here and not there: our word for it, a part of the story, and what docs/authentication.md says.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("no_name", "", "without a user name"),
    ("reserved_name", "", "with a `system:` name that no flag lists"),
    ("unheadable_name", "", "a header cannot carry as it is"),
    ("kind", "", "of a `typ` that is not meant for an API server"),
    ("claims", "distributed claims", "whose groups are elsewhere"),
    ("claims", "must be", "a registered claim of another type"),
    ("claims", "could be taken for", "whose name only differs in case"),
    ("claims", "no array of strings", "`null` among strings"),
    ("claims", "bound to a key", "bound to a key"),
    ("claims", "would round", "a number beyond 2^53"),
    ("events", "", "with `events`"),
    ("claims", "given twice", "with a member twice"),
    ("not_yet", "iat", "more than 60 seconds ahead"),
    ("malformed", "", "with a header extension"),
    ("unread_token", "", "white space"),
];

/// Why a file is refused here and not there.
const EXPLAINED_FILES: &[(&str, &str)] = &[
    ("__dot__", "escaped name"),
    ("loops over the claims themselves", "loops over `claims` itself"),
    ("does not loop over a claim", "may be a claim as it is"),
    ("second document", "a second document"),
];

struct Case {
    config: String,
    tokens: Vec<String>,
}

#[tokio::test]
#[ignore = "peer: k8s.io/apiserver's authenticator"]
async fn the_api_server_says_so_too() {
    let seed = std::env::var_os("OBOL_SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(1);
    let clock = FakeClock::at(SystemClock::default().now());
    let front = Plan { clock, ..Plan::default() }.start().await;
    front.proxy.set_rights(Rights { uid: true, every_extra: true, ..Rights::default() });
    let second = Issuer::builder().clock(front.clock.clone()).start().await;
    let cases = cases(seed, &front, &second);
    let keys = [&front.issuer, &second].map(|issuer| issuer.signing_key().jwk());
    let answers = ask(&cases, &json!({"keys": keys}));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let faults = Faults::new();
        let ours = Configuration::read(&case.config, "", &faults);
        let theirs = answer["faults"].as_str().unwrap_or_default();
        let Configuration { issuers, .. } = match (ours, theirs) {
            (Some(ours), "") => ours,
            (None, "") => {
                let told = faults.to_string();
                match EXPLAINED_FILES.iter().find(|(part, _)| told.contains(part)) {
                    Some((_, why)) => *counts.entry(format!("file refused here: {why}")).or_default() += 1,
                    None => wrong.push(format!("refused here:\n{told}{}", case.config)),
                }
                continue;
            }
            (Some(_), fault) => {
                wrong.push(format!("refused there: {fault}\n{}", case.config));
                continue;
            }
            (None, _) => {
                *counts.entry("file refused by both".into()).or_default() += 1;
                continue;
            }
        };
        front.proxy.replace_issuers(issuers, proxy::Anonymous::Nobody, &front.means).unwrap();
        for (token, theirs) in case.tokens.iter().zip(answer["callers"].as_array().unwrap()) {
            let ours = caller(&front, token).await;
            match compare(&ours, theirs) {
                Ok(kind) => *counts.entry(kind).or_default() += 1,
                Err(why) => wrong.push(format!("{why}\n  token {}\n{}", payload(token), case.config)),
            }
        }
    }
    println!("seed {seed}: {counts:#?}");
    assert!(counts.get("same identity").copied().unwrap_or_default() > 500, "too few pass");
    wrong.sort_by_key(String::len);
    let shown = wrong.iter().take(12).cloned().collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} wrong with seed {seed}:\n{}", wrong.len(), shown.join("\n---\n"));
}

/// Whoever reads the page knows what this file knows.
#[test]
fn what_is_refused_here_alone_is_documented() {
    let page = include_str!("../../../../../docs/authentication.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let whys = EXPLAINED.iter().map(|(.., why)| why).chain(EXPLAINED_FILES.iter().map(|(_, why)| why));
    let missing = whys.filter(|why| !page.contains(**why)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "docs/authentication.md does not say: {missing:?}");
}

fn cases(seed: u64, front: &Front, second: &Issuer) -> Vec<Case> {
    let stranger = Arc::new(TestKey::generate(testkit::issuer::Alg::Es256, "stranger"));
    let mut generator = Generator::new(seed, SystemClock::default().now().unix());
    let issuers = [&front.issuer, second].map(|issuer| (issuer.issuer(), issuer.ca_pem().to_owned()));
    (0..CONFIGURATIONS)
        .map(|_| {
            let config = generator.configuration(&issuers);
            let tokens = (0..TOKENS).map(|_| {
                let issuer = if generator.one_in(6) { second } else { &front.issuer };
                generator.token(&issuer.issuer(), &issuer.signing_key(), &stranger)
            });
            let tokens = tokens.collect();
            Case { config, tokens }
        })
        .collect()
}

fn ask(cases: &[Case], keys: &Value) -> Vec<Value> {
    let Some(program) = std::env::var_os("OBOL_PEER_AUTHN") else {
        panic!("OBOL_PEER_AUTHN is not set: run `cargo xtask test`, or `eval \"$(cargo xtask peers)\"` first")
    };
    let questions: String = cases
        .iter()
        .map(|case| format!("{}\n", json!({"config": case.config, "keys": keys, "tokens": case.tokens})))
        .collect();
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// The caller as it reached the API server, or our word for the refusal and the story.
async fn caller(front: &Front, token: &str) -> Result<Value, (String, String)> {
    let answer = client::read(client::send(front.address, get("/api", token, &[])).await).await;
    match front.events.all().pop().unwrap().outcome {
        Outcome::Refused { code, detail, .. } => Err((code.to_owned(), detail)),
        _ => {
            let headers = answer.document["headers"].as_object().unwrap().clone();
            let all = |name: &str| headers.get(name).cloned().unwrap_or(json!([]));
            let one = |name: &str| all(name).get(0).cloned().unwrap_or(json!(""));
            let extra: serde_json::Map<_, _> = headers
                .iter()
                .filter_map(|(name, values)| {
                    let key = name.strip_prefix("impersonate-extra-")?.replace("%2f", "/");
                    Some((key, values.clone()))
                })
                .collect();
            Ok(json!({"user": one("impersonate-user"), "uid": one("impersonate-uid"),
                "groups": all("impersonate-group"), "extra": extra}))
        }
    }
}

fn compare(ours: &Result<Value, (String, String)>, theirs: &Value) -> Result<String, String> {
    let refused = theirs["refused"].as_str().unwrap_or_default();
    match ours {
        Ok(ours) if refused.is_empty() => {
            let groups = theirs["groups"].as_array().cloned().unwrap_or_default();
            // One is added by the API server itself, the other no header can say.
            let groups: Vec<_> =
                groups.into_iter().filter(|group| *group != "" && *group != "system:authenticated").collect();
            let extra = if theirs["extra"].is_null() { json!({}) } else { theirs["extra"].clone() };
            let theirs =
                json!({"user": theirs["user"], "uid": theirs["uid"], "groups": groups, "extra": extra});
            if *ours == theirs {
                Ok("same identity".into())
            } else {
                Err(format!("here {ours}\n  there {theirs}"))
            }
        }
        Ok(ours) => Err(format!("passes here as {ours}, refused there: {refused}")),
        Err(_) if !refused.is_empty() => Ok("refused by both".into()),
        Err((code, detail)) => {
            let known = EXPLAINED.iter().find(|(word, part, _)| word == code && detail.contains(part));
            match known {
                Some((.., why)) => Ok(format!("refused here: {why}")),
                None => Err(format!("refused here ({code}: {detail}), passes there: {theirs}")),
            }
        }
    }
}

fn payload(token: &str) -> String {
    token
        .split('.')
        .take(2)
        .map(|part| wire::b64::decode(part.trim()).unwrap_or_default())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect::<Vec<_>>()
        .join(" . ")
}
