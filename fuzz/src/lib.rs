//! A provider for targets that go through its doors.

use std::future::Future;
use std::sync::LazyLock;

use testkit::stage::Stage;
use tokio::runtime::Runtime;

/// With every grant switched on and an empty store.
pub static PROVIDER: LazyLock<Stage> = LazyLock::new(|| run(Stage::with_every_grant()));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Waits for an answer. Targets take the decisions out, or they would fill the memory.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// As one value of a form.
pub fn escaped(raw: &str) -> String {
    url::form_urlencoded::byte_serialize(raw.as_bytes()).collect()
}
