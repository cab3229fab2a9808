use std::sync::Arc;

use provider::store::{Outcome, Store};
use testkit::peers::MariaDb;
use testkit::tls::TestCa;

use crate::opening::{KIND, opened, record, refusal};
use crate::servers::{self, Server};

impl Server for MariaDb {
    async fn fresh() -> Self {
        Self::start(&TestCa::new(), PASSWORD).await.unwrap()
    }

    fn place(&self, name: &str) -> String {
        self.create_database(name).unwrap();
        at(self, name, "ssl: {mode: 'false'}")
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    async fn restart(&mut self) {
        Self::restart(self).await.unwrap();
    }

    async fn fill(&self, name: &str, _: &Arc<dyn Store>) {
        let filled = "INSERT INTO obol_records (kind, id, stamp, body) \
                      SELECT 'conformance', CONCAT('key/', seq), UNHEX(MD5(seq)), '' FROM seq_0_to_99999";
        self.sql(name, filled).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: MariaDB"]
async fn keeps_the_contract() {
    servers::contract::<MariaDb>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: MariaDB"]
async fn four_processes_agree_although_they_are_killed() {
    servers::processes::<MariaDb>("mysql::four_processes_agree_although_they_are_killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: MariaDB"]
async fn pages_over_a_hundred_thousand_records() {
    servers::many_records::<MariaDb>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: MariaDB"]
async fn many_open_a_new_database_at_once() {
    servers::many_openings::<MariaDb>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: MariaDB"]
async fn an_outage_is_told_and_recovered_from() {
    servers::outage::<MariaDb>(PASSWORD).await;
}

#[tokio::test]
async fn a_mysql_server_that_says_nothing_holds_nobody() {
    servers::silence(|port| {
        format!("{{type: mysql, config: {{host: 127.0.0.1, port: {port}, database: d, user: u, connectionTimeout: 3, ssl: {{mode: 'false'}}}}}}")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: MariaDB"]
async fn each_mode_of_tls() {
    let ca = TestCa::new();
    let server = MariaDb::start(&ca, PASSWORD).await.unwrap();
    server.create_database("modes").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (other, mine) = (file("other.pem", TestCa::new().pem()), file("ca.pem", ca.pem()));
    let as_user = |user: &str, host: &str, ssl: &str| {
        let port = server.port();
        format!(
            "{{type: mysql, config: {{host: {host}, port: {port}, database: modes, user: {user}, password: {PASSWORD}, ssl: {ssl}}}}}"
        )
    };
    let full = format!("{{caFile: {mine}}}");
    for (user, host, ssl) in [
        ("obol", "127.0.0.1", "{mode: 'false'}"),
        ("tls", "127.0.0.1", "{mode: skip-verify}"),
        // The certificate is for `localhost`.
        ("tls", "localhost", &full),
        ("tls", "localhost", &format!("{{mode: custom, caFile: {mine}}}")),
        ("obol", &server.socket().display().to_string(), "{mode: 'true'}"),
    ] {
        let store = opened(&as_user(user, host, ssl)).await;
        assert_eq!(store.get(KIND, "a").await.map_err(|e| e.to_string()), Ok(None), "{user} {host} {ssl}");
    }
    for (user, host, ssl, why) in [
        ("obol", "127.0.0.1", full.as_str(), "certificate"),
        ("obol", "localhost", "{mode: 'true'}", "certificate"),
        ("obol", "localhost", &format!("{{caFile: {other}}}"), "certificate"),
        ("tls", "127.0.0.1", "{mode: 'false'}", "Access denied"),
        ("nobody", "127.0.0.1", "{mode: 'false'}", "Access denied"),
    ] {
        let told = refusal(&as_user(user, host, ssl)).await;
        assert!(told.contains(why) && told.contains("unavailable"), "{user} {host} {ssl}: {told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
}

/// What an administrator does to a server, undone without a restart of ours: one line each time, and no secret in it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: MariaDB"]
async fn a_wrong_password_and_a_server_that_only_reads_are_told_and_recovered_from() {
    let server = MariaDb::fresh().await;
    let store = opened(&server.place("moods")).await;
    assert_eq!(store.create(&record("a")).await.unwrap(), Outcome::Done);
    // Whoever may do everything may also write to a server that only reads.
    server
        .sql("mysql", "REVOKE ALL ON *.* FROM obol; GRANT ALL ON moods.* TO obol; SET GLOBAL read_only = 1")
        .unwrap();
    server.close_all().unwrap();
    let told = store.create(&record("b")).await.unwrap_err().to_string();
    assert!(told.contains("unavailable") && told.contains("read-only"), "{told}");
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a")), "reading goes on");
    server.sql("mysql", "SET GLOBAL read_only = 0; SET PASSWORD FOR obol = PASSWORD('another')").unwrap();
    server.close_all().unwrap();
    let told = store.get(KIND, "a").await.unwrap_err().to_string();
    assert!(told.contains("Access denied") && !told.contains(PASSWORD) && !told.contains('\n'), "{told}");
    server.sql("mysql", &format!("SET PASSWORD FOR obol = PASSWORD('{PASSWORD}')")).unwrap();
    assert_eq!(store.create(&record("b")).await.unwrap(), Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: MariaDB"]
async fn a_newer_schema_is_refused_and_another_program_s_tables_are_left_alone() {
    let server = MariaDb::fresh().await;
    let storage = server.place("dex");
    server.sql("dex", "CREATE TABLE migrations (num int); INSERT INTO migrations VALUES (24)").unwrap();
    assert_eq!(opened(&storage).await.create(&record("a")).await.unwrap(), Outcome::Done);
    assert_eq!(server.sql("dex", "SELECT num FROM migrations").unwrap(), "24");
    server.sql("dex", "INSERT INTO obol_schema VALUES (99, 0)").unwrap();
    let told = refusal(&storage).await;
    assert!(told.contains("newer version of Obol (schema 99"), "{told}");
}

const PASSWORD: &str = "canary-Pass_1";

/// The section `storage` for a database of that server.
fn at(server: &MariaDb, database: &str, more: &str) -> String {
    let port = server.port();
    format!(
        "{{type: mysql, config: {{host: 127.0.0.1, port: {port}, database: {database}, user: obol, password: {PASSWORD}, {more}}}}}"
    )
}
