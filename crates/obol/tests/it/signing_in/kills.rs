use ambient::{Clock as _, SystemClock};

use super::{Home, PASSWORD, claims, run, start};

/// A process may die between any two instructions. Whatever it leaves, the next one gets a token, and cleans up.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_point_leaves_nothing_broken() {
    let home = Home::start().await;
    let command = |more: &[&str]| {
        let mut command = home.get_token(&[&["--username=ana@example.com"], more].concat());
        command.env("OBOL_PASSWORD", PASSWORD);
        command
    };
    claims(&run(command(&[])));
    let clock = SystemClock::default();
    let begin = clock.monotonic();
    claims(&run(command(&["--force-refresh"])));
    let whole = clock.monotonic().saturating_sub(begin);
    for point in 0..40_u32 {
        let mut child = start(command(&["--force-refresh"]));
        // Spread over a run and a little more.
        let at = clock.monotonic() + whole * point / 36;
        while clock.monotonic() < at {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for (name, text) in home.kept().iter().filter(|(name, _)| name.ends_with(".json")) {
            let whole = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert!(whole, "point {point}: {name} is broken: {text}");
        }
        claims(&run(command(&[])));
        // Also when the kept token is not good any more.
        if point % 8 == 0 {
            claims(&run(command(&["--force-refresh"])));
        }
    }
    let left = home.kept().into_iter().filter(|(name, _)| name.ends_with(".part")).count();
    assert_eq!(left, 0);
}
