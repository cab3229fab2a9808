//! Stores as a configuration names them.

use std::sync::Arc;

use ambient::{Clock, SystemClock};
use config::{Environment, Faults, KeyStyle, parse};
use provider::store::{Kind, Rec, Stamp, Store};

/// Opens what the section `storage` says, which has no faults.
pub(crate) async fn opened(storage: &str) -> Arc<dyn Store> {
    opened_at(storage, Arc::new(SystemClock::default())).await
}

/// The same, by another clock.
pub(crate) async fn opened_at(storage: &str, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let faults = Faults::new();
    let section = parse(storage, &faults).unwrap();
    let mut fields = section.fields(KeyStyle::Dex, &faults);
    let plan = stores::decode(&mut fields, &Environment::default());
    fields.finish();
    assert_eq!(faults.to_string(), "", "{storage}");
    plan.unwrap().open(clock).await.unwrap()
}

/// What a store that cannot be used says.
pub(crate) async fn refusal(storage: &str) -> String {
    opened(storage).await.get(KIND, "a").await.unwrap_err().to_string()
}

pub(crate) const KIND: Kind = Kind("test");

pub(crate) fn record(key: &str) -> Rec {
    Rec { kind: KIND, key: key.into(), stamp: Stamp([1; 16]), due: None, terms: vec![], body: "body".into() }
}
