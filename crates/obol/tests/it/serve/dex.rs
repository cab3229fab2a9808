//! A working Dex configuration starts unchanged.

use super::{Plan, Wire};
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

connectors:
- type: mockCallback
  id: mock
  name: Example

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
    for key in [
        "grpc",
        "frontend.theme",
        "frontend.extra",
        "expiry.deviceRequests",
        "oauth2.passwordConnector",
        "telemetry.enableProfiling",
    ] {
        assert!(absent[0].contains(key), "{key}: {}", absent[0]);
    }
    assert!(!log.contains("error:"), "{log}");
    assert_eq!(serving.get("/dex/keys").status, 200);
    assert_eq!(Wire::plain(telemetry).get("/healthz/ready").unwrap().status, 200);
    // Every origin may read the documents, as it says.
    let answer = serving.wire.get_with("/dex/keys", "Origin: https://a.example.com\r\n").unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let mut serving = serving;
    serving.stop().await;
}
