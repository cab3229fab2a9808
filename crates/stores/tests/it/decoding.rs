//! The section `storage`, as Dex's users write it.

use std::sync::Arc;

use ambient::SystemClock;
use config::{Environment, Faults, KeyStyle, parse};
use provider::store::{Kind, StoreError};
use stores::Plan;
use tempfile::TempDir;

#[tokio::test]
async fn opens_what_a_dex_configuration_names() {
    let folder = TempDir::new().unwrap();
    let environment = Environment::from_iter([("DATA", folder.path().to_str().unwrap())]);
    let (plan, faults) = decode("{type: sqlite3, config: {File: $DATA/dex.db}}", &environment);
    assert_eq!(faults, "");
    let plan = plan.unwrap();
    let store = plan.open(Arc::new(SystemClock::default())).await.unwrap();
    assert_eq!((plan.kind(), store.name(), store.persistent()), ("sqlite3", "sqlite3", true));
    assert!(folder.path().join("dex.db").exists());
}

#[tokio::test]
async fn memory_needs_no_keys() {
    for text in
        ["{type: memory}", "{type: memory, config: {}}", "{type: sqlite3, config: {file: ':memory:'}}"]
    {
        let (plan, faults) = decode(text, &Environment::default());
        assert_eq!(faults, "");
        let store = plan.unwrap().open(Arc::new(SystemClock::default())).await.unwrap();
        assert!(!store.persistent());
        assert_eq!(store.get(Kind("test"), "a").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_plan_is_opened_again_after_a_failure() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("later/obol.db");
    let text = format!("{{type: sqlite3, config: {{file: {}}}}}", path.display());
    let plan = decode(&text, &Environment::default()).0.unwrap();
    let clock = Arc::new(SystemClock::default());
    assert!(matches!(plan.open(clock.clone()).await.err(), Some(StoreError::Unavailable(_))));
    std::fs::create_dir(folder.path().join("later")).unwrap();
    assert!(plan.open(clock).await.is_ok());
}

#[test]
fn faults_say_where_and_what_to_write() {
    for (text, fault) in [
        ("{config: {}}", "1:1: error: type: is missing; add it\n"),
        (
            "{type: sqlite}",
            "1:8: error: type: is \"sqlite\", which is not known; write one of etcd, memory, mysql, postgres, sqlite3\n",
        ),
        (
            "{type: kubernetes}",
            "1:8: error: type: is \"kubernetes\", which is not there yet; write one of etcd, memory, mysql, postgres, sqlite3\n",
        ),
        ("{type: sqlite3}", "1:1: error: config.file: is missing; add it\n"),
        (
            "{type: postgres, config: {host: 'db:x', database: d, user: u}}",
            "1:26: error: config: has a host that cannot be read; write host, host:port, or the path of a socket\n",
        ),
        (
            "{type: postgres, config: {host: db, database: d, user: u, ssl: {certFile: x}}}",
            "1:59: error: config.ssl: has only one of certFile and keyFile; write both, or neither\n",
        ),
        (
            "{type: postgres, config: {host: db, database: d, user: u, ssl: {caFile: /nowhere/ca.pem}}}",
            "1:59: error: config.ssl: cannot set up TLS: cannot read /nowhere/ca.pem: No such file or directory (os error 2); mend the files\n",
        ),
        (
            "{type: postgres, config: {host: db, database: d, user: u, ssl: {mode: verify-ca}}}",
            "1:59: error: config.ssl: has mode: verify-ca without a caFile: any certificate that anybody can get would do; write caFile, or mode: verify-full\n",
        ),
        (
            "{type: etcd, config: {endpoints: ['https://a:1', 'http://db:2379'], username: u, password: p}}",
            "1:22: error: config: has an endpoint by http, which would be sent the password, or everything, in the clear; write https://host:port\n",
        ),
        (
            "{type: etcd, config: {endpoints: ['unix:///run/etcd']}}",
            "1:22: error: config: has endpoints that cannot be read; write each as http://host:port or https://host:port\n",
        ),
        (
            "{type: mysql, config: {host: db, database: d, user: u, ssl: {mode: custom}}}",
            "1:56: error: config.ssl: has mode custom and no files; write caFile, or another mode\n",
        ),
        (
            "{type: sqlite3, config: {file: ''}}",
            "1:32: error: config.file: names no file; write a path, or `:memory:`\n",
        ),
        (
            "{type: memory, config: {file: x}}",
            "1:25: warning: config.file: is not a known key and has no effect; remove it\n",
        ),
        (
            "{type: sqlite3, config: {file: 'x.db?cache=shared'}}",
            "1:32: warning: config.file: has parameters for Dex's driver, which have no effect; write the path alone\n",
        ),
    ] {
        assert_eq!(decode(text, &Environment::default()).1, fault, "{text}");
    }
}

#[test]
fn every_key_is_known_to_the_reference_page() {
    let faults = Faults::rehearsal();
    stores::rehearse(&faults);
    let known: Vec<_> = faults.known_keys().into_iter().map(|key| (key.pattern, key.required)).collect();
    let required: Vec<_> = known.iter().filter(|(_, required)| *required).map(|(key, _)| &**key).collect();
    assert_eq!(
        required,
        [
            "storage.config.database",
            "storage.config.endpoints",
            "storage.config.file",
            "storage.config.host",
            "storage.config.user"
        ]
    );
    for key in [
        "maxOpenConns",
        "maxIdleConns",
        "connMaxLifetime",
        "connectionTimeout",
        "password",
        "port",
        "ssl.mode",
        "ssl.caFile",
        "ssl.certFile",
        "ssl.keyFile",
        "ssl.serverName",
        "namespace",
        "username",
    ] {
        assert!(known.contains(&(format!("storage.config.{key}"), false)), "{key}");
    }
}

fn decode(text: &str, environment: &Environment) -> (Option<Plan>, String) {
    let faults = Faults::new();
    let section = parse(text, &faults).unwrap();
    let mut storage = section.fields(KeyStyle::Dex, &faults);
    let plan = stores::decode(&mut storage, environment);
    storage.finish();
    (plan, faults.to_string())
}
