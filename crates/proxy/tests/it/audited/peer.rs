//! The API server's own reading of audit policies and requests beside ours, on generated ones, good and broken: level,
//! stages and all that a request asks for must agree on every one, and what is refused here alone is refused for a reason of
//! `EXPLAINED`, which docs/audit.md tells.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use config::Faults;
use proxy::audit::{Policy, RequestInfo, Stage};
use serde_json::{Value, json};

use super::generate::Generator;

const POLICIES: usize = 4_000;
const REQUESTS: usize = 12;

/// Why a policy is refused here and not there.
const EXPLAINED: &[(&str, &str)] = &[("is not a known key", "a key that nobody knows")];

#[test]
#[ignore = "peer: k8s.io/apiserver's audit policy and request info"]
fn the_api_server_says_so_too() {
    let seed = std::env::var_os("OBOL_SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(1);
    let mut generator = Generator::new(seed);
    let cases: Vec<(String, Vec<Value>)> = (0..POLICIES)
        .map(|_| (generator.policy(), (0..REQUESTS).map(|_| generator.request()).collect()))
        .collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for ((policy, requests), theirs) in cases.iter().zip(ask(&cases)) {
        let faults = Faults::new();
        let ours = Policy::read(policy, "", &faults);
        let ours = match (ours, theirs["faults"].as_str().unwrap_or_default()) {
            (Some(ours), "") => ours,
            (None, "") => {
                let told = faults.to_string();
                match EXPLAINED.iter().find(|(part, _)| told.contains(part)) {
                    Some((_, why)) => *counts.entry(format!("refused here: {why}")).or_default() += 1,
                    None => wrong.push(format!("refused here:\n{told}{policy}")),
                }
                continue;
            }
            (Some(_), fault) => {
                wrong.push(format!("refused there: {fault}\n{policy}"));
                continue;
            }
            (None, fault) => {
                wrong.extend(compare_faults(&faults.to_string(), fault).err());
                *counts.entry("refused by both".into()).or_default() += 1;
                continue;
            }
        };
        for (request, theirs) in requests.iter().zip(theirs["requests"].as_array().unwrap()) {
            let ours = judge(&ours, request);
            if theirs["unreadable"] == true {
                *counts.entry("a target that is refused there".into()).or_default() += 1;
            } else if ours == *theirs {
                *counts.entry(format!("{} {}", theirs["level"], theirs["verb"])).or_default() += 1;
            } else {
                wrong.push(format!("{request}\n  here {ours}\n  there {theirs}\n{policy}"));
            }
        }
    }
    println!("seed {seed}: {counts:#?}");
    let audited: usize = counts.iter().filter(|(key, _)| key.starts_with('"')).map(|(_, count)| count).sum();
    let recorded = counts.iter().filter(|(key, _)| key.starts_with("\"Re") || key.starts_with("\"Meta"));
    let recorded: usize = recorded.map(|(_, count)| count).sum();
    assert!(audited > POLICIES * REQUESTS / 2 && recorded > audited / 4, "{recorded} of {audited}");
    wrong.sort_by_key(String::len);
    let shown = wrong.iter().take(8).cloned().collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} wrong with seed {seed}:\n{}", wrong.len(), shown.join("\n---\n"));
}

/// Whoever reads the page knows what this file knows.
#[test]
fn what_is_refused_here_alone_is_documented() {
    let page = include_str!("../../../../../docs/audit.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing = EXPLAINED.iter().filter(|(_, why)| !page.contains(why)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "docs/audit.md does not say: {missing:?}");
}

/// Who copies it gets what its comments say.
#[test]
fn the_policy_of_the_page_does_what_the_page_says() {
    let page = include_str!("../../../../../docs/audit.md");
    let text = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let faults = Faults::new();
    let policy = Policy::read(text, "", &faults).unwrap_or_else(|| panic!("{faults}"));
    for (method, path, level) in [
        ("GET", "/healthz/ping", "None"),
        ("GET", "/apis/coordination.k8s.io/v1/leases", "None"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/l", "Request"),
        ("GET", "/api/v1/namespaces/a/secrets/s", "Metadata"),
        ("POST", "/api/v1/namespaces/a/secrets", "Metadata"),
        ("POST", "/api/v1/namespaces/a/serviceaccounts/s/token", "Metadata"),
        ("POST", "/api/v1/namespaces/a/pods/p/exec", "Metadata"),
        ("DELETE", "/api/v1/namespaces/a/pods", "Request"),
        ("GET", "/api/v1/pods", "Metadata"),
        ("GET", "/apis", "Metadata"),
    ] {
        let says = policy.judge(Some(("jane", &[])), &RequestInfo::read(method, path, ""));
        assert_eq!(says.level.word(), level, "{method} {path}");
        assert!(says.omit_stages.has(Stage::RequestReceived) && says.omit_managed_fields);
    }
}

/// What we say of a request, in the peer's words.
fn judge(policy: &Policy, request: &Value) -> Value {
    let text = |key: &str| request[key].as_str().unwrap();
    let target = text("uri");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let info = RequestInfo::read(text("method"), path, query);
    let groups: Vec<String> = serde_json::from_value(request["groups"].clone()).unwrap();
    let says = policy.judge(request["user"].as_str().map(|user| (user, &groups[..])), &info);
    let mut stages: Vec<_> =
        Stage::ALL.into_iter().filter(|stage| says.omit_stages.has(*stage)).map(Stage::word).collect();
    stages.sort_unstable();
    json!({"unreadable": false, "level": says.level.word(), "omitStages": stages,
        "omitManagedFields": says.omit_managed_fields, "longRunning": info.is_long_running(),
        "isResource": info.is_resource, "path": info.path, "verb": info.verb, "apiGroup": info.api_group,
        "apiVersion": info.api_version, "namespace": info.namespace, "resource": info.resource,
        "subresource": info.subresource, "name": info.name})
}

/// Every field that is named there is named here; which of several elements is meant is said here alone.
fn compare_faults(ours: &str, theirs: &str) -> Result<(), String> {
    let plain = |text: &str| {
        let mut parts = text.split("resources[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + "resources" + part.split_once(']').map_or(part, |(_, rest)| rest)
        })
    };
    let ours_plain = plain(ours);
    let named = theirs.trim_matches(['[', ']']).split(", ").filter_map(|fault| {
        let field = fault.split_once(": ")?.0;
        (field.starts_with("rules[") || field.starts_with("omitStages[")).then_some(field)
    });
    let missing: Vec<_> = named.filter(|field| !ours_plain.contains(field)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not named here: {missing:?}\n{theirs}\n{ours}")) }
}

fn ask(cases: &[(String, Vec<Value>)]) -> Vec<Value> {
    let Some(program) = std::env::var_os("OBOL_PEER_AUDIT") else {
        panic!("OBOL_PEER_AUDIT is not set: run `cargo xtask test`, or `eval \"$(cargo xtask peers)\"` first")
    };
    let questions: String = cases
        .iter()
        .map(|(policy, requests)| format!("{}\n", json!({"policy": policy, "requests": requests})))
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
