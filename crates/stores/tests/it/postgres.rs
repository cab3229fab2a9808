use std::sync::Arc;

use provider::store::{Outcome, Rec, Stamp, Store};
use testkit::peers::Postgres;
use testkit::tls::TestCa;

use crate::opening::{KIND, opened, opened_at, record, refusal};
use crate::servers::{self, Server};

impl Server for Postgres {
    async fn fresh() -> Self {
        Self::start(&TestCa::new(), PASSWORD).await.unwrap()
    }

    fn place(&self, name: &str) -> String {
        self.create_database(name).unwrap();
        at(self, name, "ssl: {mode: disable}")
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    async fn restart(&mut self) {
        Self::restart(self).await.unwrap();
    }

    async fn fill(&self, name: &str, _: &Arc<dyn Store>) {
        let filled = "INSERT INTO obol_records (kind, id, stamp, body) \
                      SELECT 'conformance', convert_to('key/' || i, 'UTF8'), decode(md5(i::text), 'hex'), '' \
                      FROM generate_series(0, 99999) AS i";
        self.sql(name, filled).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn keeps_the_contract() {
    servers::contract::<Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn four_processes_agree_although_they_are_killed() {
    servers::processes::<Postgres>("postgres::four_processes_agree_although_they_are_killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn pages_over_a_hundred_thousand_records() {
    servers::many_records::<Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn many_open_a_new_database_at_once() {
    servers::many_openings::<Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn an_outage_is_told_and_recovered_from() {
    servers::outage::<Postgres>(PASSWORD).await;
}

#[tokio::test]
async fn a_postgres_server_that_says_nothing_holds_nobody() {
    servers::silence(|port| {
        format!("{{type: postgres, config: {{host: 127.0.0.1, port: {port}, database: d, user: u, connectionTimeout: 3, ssl: {{mode: disable}}}}}}")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn each_way_to_authenticate() {
    let ca = TestCa::new();
    let server = Postgres::start(&ca, PASSWORD).await.unwrap();
    server.create_database("ways").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (other, mine) = (file("other.pem", TestCa::new().pem()), file("ca.pem", ca.pem()));
    let client = ca.client("cert");
    let (cert, key) = (file("cert.pem", &client.cert_pem), file("key.pem", &client.key_pem));
    let as_user = |user: &str, host: &str, ssl: &str| {
        let port = server.port();
        format!(
            "{{type: postgres, config: {{host: {host}, port: {port}, database: ways, user: {user}, password: {PASSWORD}, ssl: {ssl}}}}}"
        )
    };
    let full = format!("{{caFile: {mine}}}");
    let shown = format!("{{caFile: {mine}, certFile: {cert}, keyFile: {key}}}");
    for (user, host, ssl) in [
        ("obol", "127.0.0.1", "{mode: disable}"),
        ("md5", "127.0.0.1", "{mode: disable}"),
        ("obol", "127.0.0.1", "{mode: require}"),
        ("plain", "127.0.0.1", "{mode: require}"),
        // The certificate is for `localhost`.
        ("obol", "127.0.0.1", &format!("{{mode: verify-ca, caFile: {mine}}}")),
        ("obol", "127.0.0.1", &format!("{{mode: require, caFile: {mine}}}")),
        ("obol", "localhost", &format!("{{mode: verify-full, caFile: {mine}}}")),
        ("obol", "localhost", &full),
        ("cert", "localhost", &shown),
        ("obol", &server.socket().display().to_string(), "{mode: verify-full}"),
    ] {
        let store = opened(&as_user(user, host, ssl)).await;
        assert_eq!(store.get(KIND, "a").await.map_err(|e| e.to_string()), Ok(None), "{user} {host} {ssl}");
    }
    for (user, host, ssl, why) in [
        ("obol", "127.0.0.1", full.as_str(), "certificate"),
        ("obol", "localhost", "{mode: verify-full}", "certificate"),
        ("obol", "127.0.0.1", &format!("{{mode: verify-ca, caFile: {other}}}"), "certificate"),
        ("obol", "127.0.0.1", &format!("{{mode: require, caFile: {other}}}"), "certificate"),
        ("plain", "127.0.0.1", "{mode: disable}", "in clear, on a connection without TLS"),
        ("cert", "localhost", &full, "connection requires a valid client certificate"),
        ("nobody", "127.0.0.1", "{mode: disable}", "authentication failed"),
    ] {
        let told = refusal(&as_user(user, host, ssl)).await;
        assert!(told.contains(why) && told.contains("unavailable"), "{user} {host} {ssl}: {told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
}

/// What an administrator does to a server, undone without a restart of ours: one line each time, and no secret in it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn a_wrong_password_and_a_database_that_only_reads_are_told_and_recovered_from() {
    let server = server_with("moods").await;
    let store = opened(&at(&server, "moods", "ssl: {mode: disable}")).await;
    assert_eq!(store.create(&record("a")).await.unwrap(), Outcome::Done);
    let change = |sql: &str| {
        server.sql("postgres", sql).unwrap();
        // As a failover does: those who are connected must notice.
        server.sql("postgres", CLOSE_ALL).unwrap();
    };
    change("ALTER DATABASE moods SET default_transaction_read_only = on");
    let told = store.create(&record("b")).await.unwrap_err().to_string();
    assert!(told.contains("unavailable") && told.contains("read-only"), "{told}");
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a")), "reading goes on");
    change("ALTER DATABASE moods RESET default_transaction_read_only");
    assert_eq!(store.create(&record("b")).await.unwrap(), Outcome::Done);
    change("ALTER USER obol PASSWORD 'another'");
    let told = store.get(KIND, "a").await.unwrap_err().to_string();
    assert!(told.contains("password authentication failed") && !told.contains(PASSWORD), "{told}");
    assert!(!told.contains('\n'), "{told}");
    change(&format!("ALTER USER obol PASSWORD '{PASSWORD}'"));
    assert_eq!(store.get(KIND, "b").await.unwrap(), Some(record("b")));
}

/// Databases may make each transaction serializable by default: then the server fails those that meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn dex_s2_no_serialization_failure_reaches_a_caller() {
    let server = server_with("strict").await;
    server
        .sql("postgres", "ALTER DATABASE strict SET default_transaction_isolation = 'serializable'")
        .unwrap();
    let store = opened(&at(&server, "strict", "ssl: {mode: disable}")).await;
    assert_eq!(store.create(&record("counter")).await.unwrap(), Outcome::Done);
    let mut racing = tokio::task::JoinSet::new();
    for racer in 0..8_u8 {
        let store = Arc::clone(&store);
        racing.spawn(async move {
            let mut won = 0_u8;
            while won < 20 {
                let seen = store.get(KIND, "counter").await.unwrap().unwrap();
                let mut stamp = seen.stamp.0;
                stamp[0] = stamp[0].wrapping_add(1);
                (stamp[1], stamp[2]) = (racer, won);
                let next = Rec { stamp: Stamp(stamp), ..seen.clone() };
                if store.replace(seen.stamp, &next).await.unwrap() == Outcome::Done {
                    won += 1;
                }
            }
        });
    }
    racing.join_all().await;
    let counted = store.get(KIND, "counter").await.unwrap().unwrap().stamp.0[0];
    assert_eq!(counted, 1 + 160, "each won exactly once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: PostgreSQL"]
async fn a_pool_is_as_large_as_it_may_be() {
    let server = server_with("pool").await;
    // A fourth connection would be refused.
    server.sql("pool", "ALTER USER obol CONNECTION LIMIT 3").unwrap();
    let store = opened(&at(&server, "pool", "maxOpenConns: 3, maxIdleConns: 2, ssl: {mode: disable}")).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let store = Arc::clone(&store);
        asking.spawn(async move { store.get(KIND, "a").await.unwrap() });
    }
    asking.join_all().await;
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obol'";
    server.until("pool", connected, "2").await.unwrap();
    drop(store);
    server.until("pool", connected, "0").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn a_connection_is_replaced_when_its_life_is_over() {
    let server = server_with("life").await;
    let clock = Arc::new(testkit::FakeClock::at(ambient::Time::from_unix(0)));
    let storage = at(&server, "life", "connMaxLifetime: 30, ssl: {mode: disable}");
    let store = opened_at(&storage, Arc::clone(&clock) as Arc<dyn ambient::Clock>).await;
    let connected = async || {
        store.get(KIND, "a").await.unwrap();
        let who = "SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'obol'";
        server
            .until("life", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obol'", "1")
            .await
            .unwrap();
        server.sql("life", who).unwrap()
    };
    let first = connected().await;
    clock.advance(std::time::Duration::from_secs(29));
    assert_eq!(connected().await, first);
    clock.advance(std::time::Duration::from_secs(2));
    assert_ne!(connected().await, first);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn a_newer_schema_is_refused_and_another_program_s_tables_are_left_alone() {
    let server = server_with("dex").await;
    server.sql("dex", "CREATE TABLE keys (id text); INSERT INTO keys VALUES ('keys'); CREATE TABLE migrations (num int)").unwrap();
    let storage = at(&server, "dex", "ssl: {mode: disable}");
    assert_eq!(opened(&storage).await.create(&record("a")).await.unwrap(), Outcome::Done);
    assert_eq!(server.sql("dex", "SELECT id FROM keys").unwrap(), "keys");
    server.sql("dex", "INSERT INTO obol_schema VALUES (99, 0)").unwrap();
    let told = refusal(&storage).await;
    assert!(told.contains("newer version of Obol (schema 99"), "{told}");
}

/// Nobody needs the right to change tables once they are there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: PostgreSQL"]
async fn tables_that_are_up_to_date_need_no_right_to_change_them() {
    let server = server_with("narrow").await;
    let storage = at(&server, "narrow", "ssl: {mode: disable}");
    assert_eq!(opened(&storage).await.create(&record("a")).await.unwrap(), Outcome::Done);
    server
        .sql("narrow", "REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC")
        .unwrap();
    assert_eq!(opened(&storage).await.get(KIND, "a").await.unwrap(), Some(record("a")));
    server.sql("narrow", "DROP TABLE obol_records, obol_schema").unwrap();
    let told = refusal(&storage).await;
    assert!(told.contains("permission denied"), "{told}");
}

const PASSWORD: &str = "canary-Pass_1";
const CLOSE_ALL: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'obol'";

async fn server_with(database: &str) -> Postgres {
    let server = Postgres::start(&TestCa::new(), PASSWORD).await.unwrap();
    server.create_database(database).unwrap();
    server
}

/// The section `storage` for a database of that server.
fn at(server: &Postgres, database: &str, more: &str) -> String {
    let port = server.port();
    format!(
        "{{type: postgres, config: {{host: 127.0.0.1, port: {port}, database: {database}, user: obol, password: {PASSWORD}, {more}}}}}"
    )
}
