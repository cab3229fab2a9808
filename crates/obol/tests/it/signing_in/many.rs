use std::fs;

use super::{Home, claims, run, start};
use crate::run::{err, obol, out};

/// Twenty kubectl at once: one tab, one sign-in, one token for all. And nothing of the session in any output.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_open_one_tab() {
    let home = Home::start().await;
    let all = (0..20).map(|_| start(home.by_browser(&[]))).collect::<Vec<_>>();
    let page = home.sign_in(&home.tab(0).await);
    assert!(page.status == 200 && page.body.contains("You are signed in as <strong>ana"), "{page:?}");
    let mut outputs = all.into_iter().map(|child| child.wait_with_output().unwrap()).collect::<Vec<_>>();
    let first = claims(&outputs[0]);
    assert_eq!((&first["email"], &first["groups"][0]), (&"ana@example.com".into(), &"admins".into()));
    assert!(outputs.iter().all(|output| claims(output) == first));
    assert_eq!(home.tabs().len(), 1);
    assert_eq!(
        home.serving.process.log().matches("authorization_code").count(),
        1,
        "{}",
        home.serving.process.log()
    );

    let refresh_token = home.refresh_token().unwrap();
    outputs.push(run(home.by_browser(&["--force-refresh"])));
    assert_ne!(claims(&outputs[20]), first);
    let renewed = home.refresh_token().unwrap();
    for output in &outputs {
        let said = format!("{}{}", out(output), err(output));
        assert!(!said.contains(&refresh_token) && !said.contains(&renewed), "attack_26: {said}");
    }
    assert_eq!(home.tabs().len(), 1, "the session was renewed without a tab");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_forgets_and_ends_the_session() {
    let home = Home::start().await;
    let child = start(home.by_browser(&[]));
    home.sign_in(&home.tab(0).await);
    claims(&child.wait_with_output().unwrap());
    let kept = home.kept();
    let refresh_token = home.refresh_token().unwrap();
    let mut logout = obol(&["logout"]);
    let told = logout.env("HOME", home.path("home")).output().unwrap();
    assert!(
        told.status.success() && err(&told).starts_with("ended the session of kubectl at http://127.0.0.1"),
        "{}",
        err(&told)
    );
    assert!(!err(&told).contains(&refresh_token));
    assert!(home.refresh_token().is_none());
    // Whoever had copied the files has nothing in the end.
    for (name, text) in kept {
        fs::write(home.path("home/.kube/cache/obol").join(name), text).unwrap();
    }
    let child = start(home.by_browser(&["--force-refresh"]));
    home.sign_in(&home.tab(1).await);
    let output = child.wait_with_output().unwrap();
    assert!(err(&output).contains("the session is over"), "{}", err(&output));
    claims(&output);
}

/// kubectl's processes die with their terminal, at any moment: the next in line takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_hands_its_tab_over() {
    let home = Home::start().await;
    let mut holder = start(home.by_browser(&[]));
    home.tab(0).await;
    let next = start(home.by_browser(&[]));
    holder.kill().unwrap();
    holder.wait().unwrap();
    home.sign_in(&home.tab(1).await);
    claims(&next.wait_with_output().unwrap());
    assert_eq!(home.tabs().len(), 2);
}
