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
            "1:8: error: type: is \"sqlite\", which is not known; write one of memory, sqlite3\n",
        ),
        (
            "{type: postgres}",
            "1:8: error: type: is \"postgres\", which is not there yet; write one of memory, sqlite3\n",
        ),
        ("{type: sqlite3}", "1:1: error: config.file: is missing; add it\n"),
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
    assert_eq!(known, [(String::from("storage.config.file"), true)]);
}

fn decode(text: &str, environment: &Environment) -> (Option<Plan>, String) {
    let faults = Faults::new();
    let section = parse(text, &faults).unwrap();
    let mut storage = section.fields(KeyStyle::Dex, &faults);
    let plan = stores::decode(&mut storage, environment);
    storage.finish();
    (plan, faults.to_string())
}
