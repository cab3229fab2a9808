//! A working Dex configuration starts unchanged.

use super::{Plan, Wire};
use crate::run::{err, obol, out};
use testkit::peers::free_port;

/// With the keys that a small Dex installation has; `PORT`, `TELEMETRY` and `FOLDER` stand for its own.
const DEX: &str = r##"
issuer: http://127.0.0.1:PORT/dex

storage:
  type: sqlite3
  config:
    file: FOLDER/dex.db

web:
  http: 127.0.0.1:PORT
  allowedOrigins: ["*"]
  tlsMinVersion: 1.2

telemetry:
  http: 127.0.0.1:TELEMETRY
  enableProfiling: true

grpc:
  addr: 127.0.0.1:5557
  reflection: true

frontend:
  issuer: Acme
  theme: dark
  extra:
    tos: https://acme.example.com/terms

expiry:
  deviceRequests: "5m"
  signingKeys: "6h"
  idTokens: "24h"
  refreshTokens:
    reuseInterval: "3s"
    validIfNotUsedFor: "2160h"
    absoluteLifetime: "3960h"

logger:
  level: "debug"
  format: "text"

oauth2:
  responseTypes: ["code"]
  skipApprovalScreen: false
  alwaysShowLoginScreen: false
  passwordConnector: local

staticClients:
- id: example-app
  redirectURIs:
  - 'http://127.0.0.1:5555/callback'
  name: 'Example App'
  secret: ZXhhbXBsZS1hcHAtc2VjcmV0
- id: cli
  name: Command line
  public: true
  trustedPeers: [example-app]
  allowedConnectors: [mock, saml]

connectors:
- type: mockCallback
  id: mock
  name: Example
- type: saml
  id: saml
  name: SAML
  config:
    ssoURL: $NOBODY_SET_THIS
    caData: $NOBODY_SET_THIS_EITHER

enablePasswordDB: true

staticPasswords:
- email: "admin@example.com"
  hash: "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
  username: "admin"
  userID: "08a8684b-db88-4b73-90a9-3cd1661f5466"
"##;

#[tokio::test(flavor = "multi_thread")]
async fn starts_unchanged_with_one_warning_for_what_is_not_there_yet() {
    let (plan, telemetry) = (Plan::under("/dex"), free_port().unwrap());
    let config = DEX
        .replace("PORT", &plan.port.to_string())
        .replace("TELEMETRY", &telemetry.to_string())
        .replace("FOLDER", plan.folder.path().to_str().unwrap());
    let serving = plan.serve(&config).await;
    let log = serving.process.log();
    let absent: Vec<_> = log.lines().filter(|line| line.contains("not there yet")).collect();
    assert_eq!(absent.len(), 1, "{log}");
    for key in ["grpc", "telemetry.enableProfiling", "connectors[1] (type saml)"] {
        assert!(absent[0].contains(key), "{key}: {}", absent[0]);
    }
    assert!(!log.contains("error:"), "{log}");
    assert_eq!(serving.get("/dex/keys").status, 200);
    assert!(serving.get("/dex").body.contains("data-scheme=\"dark\""));
    assert_eq!(Wire::plain(telemetry).get("/healthz/ready").unwrap().status, 200);
    // Every origin may read the documents, as it says.
    let answer = serving.wire.get_with("/dex/keys", "Origin: https://a.example.com\r\n").unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let mut serving = serving;
    serving.stop().await;
}

/// As templates leave them behind: for Go an empty text or list is none.
const EMPTY: &str = r#"
issuer: http://127.0.0.1:5556/dex
storage: {type: memory, config: {}}
web:
  http: 127.0.0.1:5556
  https: ""
  tlsCert: ""
  tlsKey: ""
  tlsMinVersion: ""
  tlsMaxVersion: ""
  allowedOrigins: []
  clientRemoteIP: {header: "", trustedProxies: []}
telemetry: {http: ""}
grpc: {addr: "", tlsCert: ""}
expiry: {idTokens: "", authRequests: "", signingKeys: "", deviceRequests: "", refreshTokens: {reuseInterval: ""}}
logger: {format: ""}
oauth2: {responseTypes: [], grantTypes: [], passwordConnector: "", pkce: {codeChallengeMethodsSupported: []}}
staticClients:
- {id: a, idEnv: "", name: A, secret: x, secretEnv: ""}
- {id: "", idEnv: CLIENT, name: B, secret: "", secretEnv: SECRET}
enablePasswordDB: true
staticPasswords:
- {email: a@example.com, hash: "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W", hashFromEnv: "", userID: "1"}
connectors:
- {type: mockCallback, id: m, name: M, config: null, grantTypes: []}
- type: oidc
  id: o
  name: O
  config:
    issuer: https://a.example
    issuerAlias: ""
    clientID: a
    clientSecret: b
    redirectURI: ""
    pkceChallenge: ""
    userIDKey: ""
    userNameKey: ""
    hostedDomains: []
    providerDiscoveryOverrides: {tokenURL: ""}
"#;

#[test]
fn empty_texts_and_lists_mean_what_absence_means() {
    let plan = Plan::new();
    let file = plan.file("empty.yaml", EMPTY);
    let check = |file: &std::path::Path| {
        let mut command = obol(&["check", "--json", file.to_str().unwrap()]);
        command.env("CLIENT", "b").env("SECRET", "canary-secret").output().unwrap()
    };
    let told = check(&file);
    assert!(told.status.success(), "{}{}", out(&told), err(&told));
    let document: serde_json::Value = serde_json::from_str(out(&told)).unwrap();
    assert_eq!(document["faults"], serde_json::json!([]));
    // What is demanded is not there, then; and a variable that left nothing behind is told of.
    let nothing = EMPTY
        .replace("issuer: http://127.0.0.1:5556/dex", "issuer: ''")
        .replace("http: 127.0.0.1:5556", "http: ''");
    let told = check(
        &plan.file("nothing.yaml", &nothing.replace("issuerAlias: \"\"", "issuerAlias: $NOBODY_SET_THIS")),
    );
    for line in
        ["issuer", "is missing", "names no address to listen on", "uses $NOBODY_SET_THIS, which is not set"]
    {
        assert!(out(&told).contains(line), "{line}: {}", out(&told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dex_serves_flags_count_instead_of_the_file() {
    let (plan, telemetry) = (Plan::new(), free_port().unwrap());
    let config = plan.usual("").replace(&format!("web: {{http: '127.0.0.1:{}'}}\n", plan.port), "");
    assert!(!config.contains("web:"));
    let file = plan.file("config.yaml", &config);
    let (http, metrics) = (format!("localhost:{}", plan.port), format!("127.0.0.1:{telemetry}"));
    let mut command = obol(&["serve", "--web-http-addr", &http, "--telemetry-addr", &metrics]);
    command.args(["--grpc-addr", "127.0.0.1:5557"]).arg(&file);
    let mut process = testkit::peers::Process::start("obol", &mut command, plan.folder.path()).unwrap();
    let (web, probes) = (Wire::plain(plan.port), Wire::plain(telemetry));
    process.ready(async || web.get("/healthz").is_some_and(|answer| answer.status == 200)).await.unwrap();
    assert_eq!(probes.get("/healthz/live").unwrap().status, 200);
    assert!(process.log().contains("without effect: --grpc-addr"), "{}", process.log());
    // https takes its certificate from the file, which has none.
    let told = obol(&["serve", "--web-https-addr", ":5554"]).arg(&file).output().unwrap();
    assert!(err(&told).contains("web.tlsCert: is missing; https needs tlsCert and tlsKey"), "{}", err(&told));
}
