//! Connectors against issuers that misbehave.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test from end to end, where a panic is the report"
)]

mod api;
mod atlassian_crowd;
mod authproxy;
mod bitbucket_cloud;
mod contract;
mod gitea;
mod github;
mod gitlab;
mod jwt;
mod keystone;
mod kubernetes;
mod ldap;
mod linkedin;
mod local;
mod microsoft;
mod mock_callback;
mod mock_password;
mod oauth;
mod oidc;
mod openshift;
mod rest;
mod table;

use std::sync::Arc;

use ambient::Tasks;
use config::{Environment, Faults, KeyStyle};
use connectors::Context;
use outbound::Dial;
use provider::connector::Opened;
use serde_json::{Value, json};
use testkit::{FakeClock, SeededRandom};

const OUR_ISSUER: &str = "https://obol.example/dex";

/// What connectors are given in these tests.
fn context(clock: &FakeClock) -> Context {
    let clock: Arc<dyn ambient::Clock> = Arc::new(clock.clone());
    Context {
        issuer: Arc::from(OUR_ISSUER),
        clock: Arc::clone(&clock),
        random: Arc::new(SeededRandom::new(7)),
        tasks: Tasks::default(),
        dial: Dial::new(clock),
        mount: "/nowhere".into(),
    }
}

/// Reads a whole configuration.
fn read(text: &str, environment: &Environment, context: &Context) -> (Vec<Opened>, Faults) {
    let faults = Faults::new();
    let root = config::parse(text, &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Dex, &faults);
    let opened = connectors::read(&mut fields, environment, context);
    fields.finish();
    (opened, faults)
}

/// One connector of this kind with this `config`, which must be without errors. Its id is `up`.
fn open(kind: &str, config: &Value, clock: &FakeClock) -> Opened {
    open_in(kind, config, &context(clock), &Environment::default())
}

fn open_in(kind: &str, config: &Value, context: &Context, environment: &Environment) -> Opened {
    let root = json!({"connectors": [{"type": kind, "id": "up", "name": "Up", "config": config}]});
    let (mut opened, faults) = read(&root.to_string(), environment, context);
    assert!(faults.errors().is_empty(), "{faults}");
    assert_eq!(opened.len(), 1);
    opened.remove(0)
}

/// What is wrong with this `config`.
fn faults_of(kind: &str, config: &Value) -> String {
    let root = json!({"connectors": [{"type": kind, "id": "up", "name": "Up", "config": config}]});
    let clock = FakeClock::default();
    let (_, faults) = read(&root.to_string(), &Environment::default(), &context(&clock));
    faults.to_string()
}
