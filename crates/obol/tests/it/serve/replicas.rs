//! Two replicas on one store: whatever is good once is good once, and nobody meets a fault of ours.

use std::fmt::Write as _;
use std::thread;

use testkit::TestCa;
use testkit::peers::{Etcd, MariaDb, Postgres, Process};

use super::{Answer, Plan, Serving, Wire};
use crate::run::obol;

/// Two processes that serve one issuer.
struct Replicas {
    first: Serving,
    second: Wire,
    _other: Process,
}

impl Replicas {
    async fn start() -> Self {
        let plan = Plan::new();
        let storage =
            format!("storage: {{type: sqlite3, config: {{file: '{}'}}}}", plan.path("obol.db").display());
        Self::on(plan, &storage).await
    }

    async fn on(plan: Plan, storage: &str) -> Self {
        let config = plan.bare(
            &format!("{storage}\nsealing: none"),
            "oauth2: {skipApprovalScreen: true}\n\
             expiry: {refreshTokens: {reuseInterval: 0s}}",
        );
        let config = config.replace(
            "secret: canary-secret}",
            "secret: canary-secret, redirectURIs: ['https://app.example/cb']}",
        );
        let first = plan.serve(&config).await;
        let port = testkit::peers::free_port().unwrap();
        let file = first.plan.path("config.yaml");
        let mut command =
            obol(&["serve", file.to_str().unwrap(), "--web-http-addr", &format!("127.0.0.1:{port}")]);
        let log = first.plan.path("second");
        std::fs::create_dir(&log).unwrap();
        let mut other = Process::start("obol", &mut command, &log).unwrap();
        let second = Wire::plain(port);
        let wire = second.clone();
        other.ready(async || wire.get("/healthz").is_some_and(|answer| answer.status == 200)).await.unwrap();
        Self { first, second, _other: other }
    }

    fn wires(&self) -> [&Wire; 2] {
        [&self.first.wire, &self.second]
    }

    /// A sign-in through the mock, each step at another replica: the code.
    fn sign_in(&self) -> String {
        let request = "client_id=robot&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code\
                       &scope=openid+offline_access";
        let begun = self.first.get(&format!("/auth/mock?{request}"));
        let done = self.second.get_with(&path(&begun), &cookies(&begun)).unwrap();
        parameter(done.header("location").unwrap(), "code")
    }

    /// The same request at both replicas, many times at once: what was granted, and how the others were refused.
    fn race(&self, form: &str) -> (Vec<serde_json::Value>, Vec<String>) {
        let form = format!("client_id=robot&client_secret=canary-secret&{form}");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asking = (0..8).map(|n| {
                let (wire, form) = (self.wires()[n % 2], &form);
                scope.spawn(move || wire.post("/token", form).unwrap())
            });
            let asking: Vec<_> = asking.collect();
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        let (mut granted, mut refused) = (Vec::new(), Vec::new());
        for answer in answers {
            let json = answer.json();
            match answer.status {
                200 => granted.push(json),
                400 => refused.push(json["error"].as_str().unwrap().to_owned()),
                other => panic!("{other}: {json}"),
            }
        }
        (granted, refused)
    }
}

fn path(answer: &Answer) -> String {
    let to = answer.header("location").unwrap();
    if to.starts_with('/') {
        return to.to_owned();
    }
    to.splitn(4, '/').nth(3).map_or_else(|| to.to_owned(), |path| format!("/{path}"))
}

fn cookies(answer: &Answer) -> String {
    let set = answer.head.lines().filter_map(|line| line.split_once(": "));
    let set = set.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    set.fold(String::new(), |mut lines, (_, cookie)| {
        write!(lines, "Cookie: {}\r\n", cookie.split(';').next().unwrap()).unwrap();
        lines
    })
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_20_of_two_replicas_one_redeems_a_code() {
    redeems_a_code(&Replicas::start().await);
}

fn redeems_a_code(replicas: &Replicas) {
    for _ in 0..4 {
        let code = replicas.sign_in();
        let form =
            format!("grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example%2Fcb");
        let (granted, refused) = replicas.race(&form);
        assert_eq!((granted.len(), refused.len()), (1, 7), "{refused:?}");
        assert!(refused.iter().all(|error| error == "invalid_grant"), "{refused:?}");
    }
    assert!(!replicas.first.process.log().contains("server_error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_20_of_two_replicas_one_rotates_a_refresh_token() {
    rotates_a_refresh_token(&Replicas::start().await);
}

fn rotates_a_refresh_token(replicas: &Replicas) {
    for _ in 0..4 {
        let code = replicas.sign_in();
        let form = format!(
            "client_id=robot&client_secret=canary-secret&grant_type=authorization_code&code={code}\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
        );
        let tokens = replicas.second.post("/token", &form).unwrap().json();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let (granted, refused) = replicas.race(&format!("grant_type=refresh_token&refresh_token={refresh}"));
        // Without a reuse interval a second use is a replay, and ends the family.
        assert_eq!((granted.len(), refused.len()), (1, 7), "{refused:?}");
        let next = granted[0]["refresh_token"].as_str().unwrap();
        let (granted, _) = replicas.race(&format!("grant_type=refresh_token&refresh_token={next}"));
        assert!(granted.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_20_of_two_replicas_one_hands_a_device_its_tokens() {
    hands_a_device_its_tokens(&Replicas::start().await);
}

fn hands_a_device_its_tokens(replicas: &Replicas) {
    for _ in 0..4 {
        let client = "client_id=robot&client_secret=canary-secret&scope=openid+offline_access";
        let codes = replicas.first.wire.post("/device/code", client).unwrap().json();
        let device = codes["device_code"].as_str().unwrap();
        let form = format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device}");
        let (granted, refused) = replicas.race(&form);
        assert!(granted.is_empty());
        assert_eq!(
            refused.iter().filter(|error| *error == "authorization_pending").count(),
            1,
            "{refused:?}"
        );
        assert_eq!(refused.iter().filter(|error| *error == "slow_down").count(), 7, "{refused:?}");

        let user = codes["user_code"].as_str().unwrap();
        let typed = replicas.second.post("/device/auth/verify_code", &format!("user_code={user}")).unwrap();
        let begun = replicas.first.get(&path(&typed));
        let at_upstream = replicas.second.get(&path(&begun)).unwrap();
        let arrived = replicas.first.wire.get_with(&path(&at_upstream), &cookies(&at_upstream)).unwrap();
        let consent = parameter(arrived.header("location").unwrap(), "req");
        let decided = post_with(
            &replicas.second,
            "/approval",
            &cookies(&arrived),
            &format!("req={consent}&approval=approve"),
        );
        assert_eq!(decided.status, 200, "{decided:?}");
        let (granted, refused) = replicas.race(&form);
        assert_eq!((granted.len(), refused.len()), (1, 7), "{refused:?}");
        assert!(granted[0]["refresh_token"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn attack_20_two_replicas_on_postgres() {
    let server = Postgres::start(&TestCa::new(), PASSWORD).await.unwrap();
    server.create_database("obol").unwrap();
    let replicas = Replicas::on(Plan::new(), &on_server("postgres", server.port(), "disable")).await;
    redeems_a_code(&replicas);
    rotates_a_refresh_token(&replicas);
    hands_a_device_its_tokens(&replicas);
    assert!(!replicas.first.process.log().contains(PASSWORD));
    let kept = "SELECT count(*) FROM obol_records WHERE kind = 'keys'";
    assert_eq!(server.sql("obol", kept).unwrap(), "1", "one set of keys for both");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: MariaDB"]
async fn attack_20_two_replicas_on_mysql() {
    let server = MariaDb::start(&TestCa::new(), PASSWORD).await.unwrap();
    server.create_database("obol").unwrap();
    let replicas = Replicas::on(Plan::new(), &on_server("mysql", server.port(), "'false'")).await;
    redeems_a_code(&replicas);
    rotates_a_refresh_token(&replicas);
    hands_a_device_its_tokens(&replicas);
    assert!(!replicas.first.process.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn attack_20_two_replicas_on_etcd() {
    let server = Etcd::start().await.unwrap();
    let storage =
        format!("storage: {{type: etcd, config: {{endpoints: ['{}'], namespace: obol/}}}}", server.url());
    let replicas = Replicas::on(Plan::new(), &storage).await;
    redeems_a_code(&replicas);
    rotates_a_refresh_token(&replicas);
    hands_a_device_its_tokens(&replicas);
}

/// The store is gone when it starts: it listens, says why it is not ready, and serves once the store is there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn a_server_that_comes_later_is_waited_for() {
    let mut server = Postgres::start(&TestCa::new(), PASSWORD).await.unwrap();
    server.create_database("obol").unwrap();
    server.kill();
    let (plan, telemetry) = (Plan::new(), testkit::peers::free_port().unwrap());
    let more = format!("telemetry: {{http: '127.0.0.1:{telemetry}'}}\nsealing: none");
    let config = plan.stored(&on_server("postgres", server.port(), "disable"), &more);
    let process = waits(&plan, &config, telemetry).await;
    server.restart().await.unwrap();
    let wire = Wire::plain(plan.port);
    testkit::peers::until("readiness", async || {
        let answer = Wire::plain(telemetry).get("/healthz/ready").ok_or("no answer")?;
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    })
    .await
    .unwrap();
    Serving { process, plan, wire }.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_waited_for_and_the_probes_say_so() {
    let (plan, nobody) = (Plan::new(), testkit::peers::free_port().unwrap());
    let telemetry = testkit::peers::free_port().unwrap();
    let more = format!("telemetry: {{http: '127.0.0.1:{telemetry}'}}\nsealing: none");
    let config = plan.stored(&on_server("postgres", nobody, "disable"), &more);
    let process = waits(&plan, &config, telemetry).await;
    let wire = Wire::plain(plan.port);
    Serving { process, plan, wire }.stop().await;
}

/// Starts it, and sees that it tells why it does not serve.
async fn waits(plan: &Plan, config: &str, telemetry: u16) -> Process {
    let mut process = plan.start(config);
    let probes = Wire::plain(telemetry);
    process
        .ready(async || probes.get("/healthz/live").is_some_and(|answer| answer.status == 200))
        .await
        .unwrap();
    let why = testkit::peers::until("the reason", async || {
        let answer = probes.get("/healthz/ready").ok_or("no answer")?;
        if answer.body.contains("cannot be connected to") { Ok(answer) } else { Err(answer.body) }
    });
    assert_eq!(why.await.unwrap().status, 503);
    let answer = Wire::plain(plan.port).get("/keys").unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
    let log = process.log();
    assert_eq!(log.matches("the store is unavailable").count(), 1, "told once: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
    process
}

/// The section `storage` for a database `obol` there.
fn on_server(kind: &str, port: u16, mode: &str) -> String {
    format!(
        "storage: {{type: {kind}, config: {{host: 127.0.0.1, port: {port}, database: obol, user: obol, password: {PASSWORD}, ssl: {{mode: {mode}}}}}}}"
    )
}

const PASSWORD: &str = "canary-Pass_1";

fn post_with(wire: &Wire, path: &str, lines: &str, form: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{lines}\r\n{form}",
        form.len()
    );
    wire.send(head.as_bytes()).unwrap()
}
