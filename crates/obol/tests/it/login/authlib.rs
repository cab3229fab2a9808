//! PyPI's `authlib` as the application.

use testkit::peers::place;
use tokio::process::Command;

use super::{passes, provider};

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[tokio::test]
        #[ignore = "peer: python authlib"]
        async fn $name() {
            run(stringify!($name)).await;
        }
    )*};
}

scenarios! {
    a_session_signs_in_and_refreshes
    a_device_is_connected
    a_token_is_revoked
}

async fn run(scenario: &str) {
    let provider = provider().await;
    let script = provider.file("application.py", include_str!("authlib.py"));
    let mut command = Command::new(place("PYTHON").unwrap());
    command
        .arg(script)
        .arg(scenario)
        .env("PYTHONPATH", place("PYTHON_PACKAGES").unwrap())
        .env("REQUESTS_CA_BUNDLE", &provider.ca_file);
    passes(command, &provider, scenario).await;
}
