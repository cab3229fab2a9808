//! Chromium as the browser that the command opens: the last page is looked at, at phone and desktop width.

use testkit::peers::{node, place};
use tokio::process::Command;

use super::{Home, PASSWORD, claims, start};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: chromium by node playwright-core"]
async fn a_browser_comes_back_to_the_terminal() {
    let home = Home::start().await;
    let child = start(home.by_browser(&[]));
    let address = home.tab(0).await;
    let folder = home.path("home");
    std::fs::create_dir_all(&folder).unwrap();
    let pictures = place("PICTURES").unwrap_or_else(|_| folder.clone());
    let mut script = Command::from(node(&folder, "landing", include_str!("landing.mjs")).unwrap());
    script
        .env("ADDRESS", address)
        .env("PASSWORD", PASSWORD)
        .env("CHROMIUM", place("CHROMIUM").unwrap())
        .env("PICTURES", pictures)
        .kill_on_drop(true);
    let output = script.output().await.unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with("passed\n"), "{said}\n{errors}");
    assert_eq!(claims(&child.wait_with_output().unwrap())["email"], "ana@example.com");
}
