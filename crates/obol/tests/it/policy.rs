//! `obol policy` and `obol check`, as people and pipelines use them.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::obol;

const POLICIES: &str = r#"
  policies:
  - name: frozen
    deny: true
    subject: {connector: ci, claims: {ref: "refs/heads/frozen"}}
  - name: deploys
    subject: {connector: ci, claims: {project_path: "platform/*"}, match: claims.ref_protected == "true"}
    clients: [prod]
    audiences: [prod]
    issue: {subject: '"ci:" + claims.project_path', groups: '["deployers"]'}
    tests:
    - claims: {project_path: platform/web, ref_protected: "true", ref: refs/heads/main}
      expect: {subject: ci:platform/web}
    - claims: {project_path: platform/web/x, ref_protected: "true", ref: refs/heads/main}
      expect: deny
"#;

struct Desk(TempDir);

impl Desk {
    fn new(policies: &str) -> Self {
        let desk = Self(TempDir::new().unwrap());
        let config = format!(
            "issuer: https://obol.example.com\nstorage: {{type: memory}}\nweb: {{http: '127.0.0.1:0'}}\n\
             staticClients: [{{id: prod, name: Prod, public: true}}]\n\
             connectors: [{{type: jwt, id: ci, name: CI, config: {{issuer: 'https://ci.example.com', jwksURL: 'https://ci.example.com/keys'}}}}]\n\
             tokenExchange:{policies}"
        );
        desk.file("config.yaml", &config);
        desk
    }

    fn file(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    /// Whether it succeeded, stdout and stderr.
    fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = obol(arguments).current_dir(self.0.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn explain(&self, claims: &Value, more: &[&str]) -> (bool, String, String) {
        self.file("claims.json", &claims.to_string());
        let always = [
            "policy",
            "explain",
            "config.yaml",
            "--client",
            "prod",
            "--connector",
            "ci",
            "--claims",
            "claims.json",
        ];
        self.run(&[&always, more].concat())
    }
}

#[test]
fn policy_test_prints_a_table_and_its_exit_code_tells() {
    let desk = Desk::new(POLICIES);
    let (good, out, told) = desk.run(&["policy", "test", "config.yaml"]);
    assert!(good && told.contains("2 tests passed"), "{out}{told}");
    assert!(out.starts_with("POLICY") && out.contains("grant as ci:platform/web") && out.contains("passed"));
    let desk = Desk::new(&POLICIES.replace("expect: deny", "expect: {}"));
    let (good, out, told) = desk.run(&["policy", "test", "config.yaml", "--output", "json"]);
    assert!(!good && told.contains("1 of 2 tests failed"), "{told}");
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&all[0]["failure"], &all[0]["policy"]), (&Value::Null, &json!("deploys")));
    assert!(all[1]["failure"].as_str().unwrap().contains("\"project_path\" does not fit"), "{out}");
    let (good, _, told) = Desk::new(" {}\n").run(&["policy", "test", "config.yaml"]);
    assert!(!good && told.contains("no policy of config.yaml has a test"), "{told}");
    let (good, _, told) =
        Desk::new(&POLICIES.replace("claims.ref_p", "clams.ref_p")).run(&["policy", "test", "config.yaml"]);
    assert!(!good && told.contains("did you mean `claims`?"), "{told}");
}

#[test]
fn policy_explain_goes_rule_by_rule_and_shows_the_values() {
    let desk = Desk::new(POLICIES);
    let mut claims = json!({
        "iss": "https://ci.example.com", "sub": "s", "aud": "https://obol.example.com", "exp": 4_000_000_000_u64,
        "project_path": "platform/web", "ref_protected": "true", "ref": "refs/heads/main",
    });
    let (good, out, told) = desk.explain(&claims, &[]);
    assert!(good, "{told}");
    for line in [
        "prod asks for no audience in particular with a token of ci (supposed: nobody checked these claims)",
        "claims.project_path = \"platform/web\"",
        "* allow        deploys  matches",
        "granted by deploys. The token would say:",
        "\"sub\": \"ci:platform/web\"",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    claims["ref"] = json!("refs/heads/frozen\u{1b}[2J\u{202e}");
    claims["ref_protected"] = json!("false");
    let (_, out, _) = desk.explain(&claims, &[]);
    assert!(
        out.contains("its match is false") && out.contains("the client would learn invalid_request"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}'), "{out:?}");
    claims["ref"] = json!("refs/heads/frozen");
    let (_, out, _) = desk.explain(&claims, &["--output", "json"]);
    let explained: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(explained["outcome"]["decision"], "refused");
    assert_eq!(explained["outcome"]["policy"], "frozen");
    assert_eq!(explained["policies"][0]["applies"], true);
    let (_, out, _) = desk.explain(&claims, &["--audience", "elsewhere", "--output", "json"]);
    let explained: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(explained["outcome"]["policy"], "frozen");
    let (good, _, told) = desk.explain(&json!({"exp": "soon"}), &[]);
    assert!(!good && told.contains("no token has such claims"), "{told}");
}

#[test]
fn check_warns_of_overlaps_and_of_issuers_that_serve_everybody() {
    let twice = format!(
        "{POLICIES}{}",
        POLICIES.split("  - name: deploys").nth(1).map(|rest| format!("  - name: again{rest}")).unwrap()
    );
    let twice = twice.split("    tests:").next().unwrap().to_owned()
        + "  - name: again\n    subject: {connector: ci, claims: {project_path: 'platform/*', x: y_}, match: claims.ref_protected == \"true\"}\n    clients: [prod]\n    audiences: [prod]\n";
    let (good, _, told) = Desk::new(&twice).run(&["check", "config.yaml"]);
    assert!(good && told.contains("never decides: deploys matches all that it matches"), "{told}");
    let desk = Desk::new(&POLICIES.replace("project_path: \"platform/*\"", "ref: x"));
    let config = fs::read_to_string(desk.0.path().join("config.yaml")).unwrap();
    let config = config.replace("https://ci.example.com", "https://gitlab.com");
    desk.file("config.yaml", config.split("    tests:").next().unwrap());
    let (_, _, told) = desk.run(&["check", "config.yaml"]);
    assert!(told.contains("signs tokens for everybody"), "{told}");
}

#[test]
fn policies_stand_in_files_and_folders_and_faults_name_them() {
    let desk = Desk::new("\n  policyFiles: [one.yaml, policies.d]\n");
    fs::create_dir(desk.0.path().join("policies.d")).unwrap();
    let policies = POLICIES.trim_start_matches('\n');
    desk.file("one.yaml", policies);
    desk.file(
        "policies.d/b.yaml",
        "policies: [{name: b, deny: true, subject: {connector: ci, claims: {ref: never}}}]\n",
    );
    desk.file("policies.d/.hidden.yaml", "not: [sound");
    desk.file("policies.d/notes.txt", "not: [sound");
    let (good, out, told) = desk.run(&["policy", "test", "config.yaml"]);
    assert!(good && out.contains("deploys"), "{told}");
    let (good, _, told) = desk.run(&["policy", "test", "one.yaml"]);
    assert!(good, "{told}");
    desk.file("policies.d/a.yaml", "policies:\n- {name: b, deny: true, subject: {connector: nobody}}\n");
    let (good, _, told) = desk.run(&["check", "config.yaml"]);
    assert!(
        !good
            && told.contains("policies.d/b.yaml:1:")
            && told.contains("has the name of policies.d/a.yaml: policies[0]"),
        "{told}"
    );
    fs::remove_file(desk.0.path().join("one.yaml")).unwrap();
    let (good, _, told) = desk.run(&["check", "config.yaml"]);
    assert!(!good && told.contains("one.yaml cannot be read"), "{told}");
}
