//! `storage` and `sealing`: what outlives a restart, and who can read it.

use std::collections::BTreeSet;

use super::{Plan, Serving};

fn key_ids(serving: &Serving) -> BTreeSet<String> {
    let keys = serving.get("/keys").json()["keys"].clone();
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

const SQLITE: &str = "storage: {type: sqlite3, config: {file: $FOLDER/obol.db}}";

/// A plan with `$FOLDER` set to its folder.
fn on_disk() -> Plan {
    let plan = Plan::new();
    let folder = plan.folder.path().to_str().unwrap().to_owned();
    plan.with_variable("FOLDER", &folder)
}

/// Ends it and starts it once more with another configuration.
async fn again(mut serving: Serving, config: &str) -> Serving {
    serving.stop().await;
    serving.plan.serve(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite3_keeps_keys_over_a_restart_and_expands_its_variables() {
    let plan = on_disk();
    let config = plan.stored(SQLITE, "sealing: none");
    let serving = plan.serve(&config).await;
    assert!(serving.plan.path("obol.db").exists(), "$FOLDER was not expanded");
    let before = key_ids(&serving);
    let serving = again(serving, &config).await;
    assert_eq!(key_ids(&serving), before);
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_forgets_keys_at_a_restart() {
    let plan = Plan::new();
    let config = plan.usual("");
    let serving = plan.serve(&config).await;
    let before = key_ids(&serving);
    assert!(key_ids(&again(serving, &config).await).is_disjoint(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unset_variable_does_not_become_another_file() {
    let plan = Plan::new();
    let config = plan.stored("storage: {type: sqlite3, config: {file: $NOBODY_SET_THIS}}", "sealing: none");
    let told = plan.refused(&config).await;
    assert!(told.contains("NOBODY_SET_THIS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_that_is_forgotten_is_refused_in_a_configuration_of_our_own() {
    let plan = on_disk();
    let told = plan.refused(&plan.stored(SQLITE, "tokenExchange: {policies: []}")).await;
    assert!(told.contains("sealing") && told.contains("keyFile"), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_that_a_dex_configuration_does_not_know_is_warned_about() {
    let plan = on_disk();
    let config = plan.stored(SQLITE, "");
    let serving = plan.serve(&config).await;
    assert_eq!(serving.process.log().matches("UNSEALED").count(), 1, "{}", serving.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_key_file_opens_only_with_the_same_key() {
    let plan = on_disk();
    let right = plan.file("right.key", &"right-key-".repeat(8));
    let wrong = plan.file("wrong.key", &"wrong-key-".repeat(8));
    let sealed = |plan: &Plan, key: &std::path::Path| {
        plan.stored(SQLITE, &format!("sealing: {{keyFile: {}}}", key.display()))
    };
    let config = sealed(&plan, &right);
    let serving = plan.serve(&config).await;
    let before = key_ids(&serving);
    let mut serving = again(serving, &config).await;
    assert_eq!(key_ids(&serving), before);
    serving.stop().await;
    let plan = serving.plan;

    // Neither a wrong key nor none gets at them, and neither makes others in their place.
    for other in [sealed(&plan, &wrong), plan.stored(SQLITE, "sealing: none")] {
        let told = plan.refused(&other).await;
        assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{told}");
        assert!(told.contains("seal"), "{told}");
    }
    assert_eq!(key_ids(&plan.serve(&config).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_key_env_names_a_variable_and_short_keys_are_refused() {
    let plan = on_disk().with_variable("SEAL", &"k".repeat(40)).with_variable("SHORT", "short");
    let told = plan.refused(&plan.stored(SQLITE, "sealing: {keyEnv: SHORT}")).await;
    assert!(told.contains("too short") && !told.contains("\"short\""), "{told}");
    let config = plan.stored(SQLITE, "sealing: {keyEnv: SEAL}");
    let serving = plan.serve(&config).await;
    serving.still_serves();
    assert!(!serving.process.log().contains("UNSEALED"));
}
