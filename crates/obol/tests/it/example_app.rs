//! `obol example-app` before `obol serve`, and somebody who walks through it.

use std::process::Command;

use testkit::peers::Process;

use crate::run::{err, fed, obol, out};
use crate::serve::{Plan, Serving, Wire};
use crate::walker::Walker;

struct Example {
    serving: Serving,
    process: Process,
    port: u16,
}

impl Example {
    async fn start() -> Self {
        let plan = Plan::new();
        let port = testkit::peers::free_port().unwrap();
        let hash = fed(&mut obol(&["hash-password"]), "canary correct horse");
        let config = CONFIG
            .replace("PORT", &plan.port.to_string())
            .replace("APP", &port.to_string())
            .replace("HASH", out(&hash).trim_end());
        let serving = plan.serve(&config).await;
        let issuer = format!("http://127.0.0.1:{}", serving.plan.port);
        let mut command = Self::command(&issuer, port);
        let mut process = Process::start("example", &mut command, serving.plan.folder.path()).unwrap();
        let wire = Wire::plain(port);
        process.ready(async || wire.get("/").is_some_and(|answer| answer.status == 200)).await.unwrap();
        Self { serving, process, port }
    }

    fn command(issuer: &str, port: u16) -> Command {
        let own = format!("http://127.0.0.1:{port}");
        let callback = format!("{own}/callback");
        let mut command =
            obol(&["example-app", "--issuer", issuer, "--listen", &own, "--redirect-uri", &callback]);
        command.env("OBOL_CLIENT_SECRET", "canary-secret");
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_sees_their_tokens_and_leaves() {
    let example = Example::start().await;
    let base = format!("http://127.0.0.1:{}", example.port);
    let mut walker = Walker::new(None, &[("login", "ana@example.com"), ("password", "canary correct horse")]);
    let page = walker.walk_until(&base, "Your tokens");
    assert_eq!(
        page.body.matches("Verified: the issuer&#39;s key").count()
            + page.body.matches("Verified: the issuer's key").count(),
        2,
        "{}",
        page.body
    );
    assert!(page.body.contains("ana@example.com") && page.body.contains("Refresh</button>"));
    let refreshed = walker.walk_until(&format!("{base}/tokens"), "Your tokens");
    assert_ne!(page.body, refreshed.body, "the button made new tokens");
    let info = walker.walk(&format!("{base}/userinfo"));
    assert!(info.body.contains("&quot;email&quot;: &quot;ana@example.com&quot;"), "{}", info.body);
    for text in [&page.body, &info.body, &example.process.log()] {
        assert!(!text.contains("canary-secret"));
    }
    // A stranger sees nothing, and an answer that nobody waits for is none.
    let wire = Wire::plain(example.port);
    assert_eq!(wire.get("/tokens").unwrap().header("location"), Some("/"));
    let answer = wire.get("/callback?code=x&state=%3Cscript%3E").unwrap();
    assert!(
        answer.status == 400
            && answer.body.contains("nobody began to sign in")
            && !answer.body.contains("<script")
    );
    assert!(example.serving.process.log().contains("refresh_token"));
}

#[test]
fn tokens_are_shown_on_this_machine_alone() {
    for listen in ["http://0.0.0.0:5555", "https://127.0.0.1:5555"] {
        let told = obol(&["example-app", "--listen", listen]).output().unwrap();
        assert_eq!(told.status.code(), Some(2), "{}", err(&told));
    }
}

const CONFIG: &str = r#"
issuer: http://127.0.0.1:PORT
storage: {type: memory}
web: {http: '127.0.0.1:PORT'}
oauth2: {skipApprovalScreen: true}
enablePasswordDB: true
staticPasswords:
- {email: ana@example.com, hash: "HASH", username: ana, userID: "1", groups: [admins]}
staticClients:
- {id: example-app, name: Example, secret: canary-secret, redirectURIs: ["http://127.0.0.1:APP/callback"]}
"#;
