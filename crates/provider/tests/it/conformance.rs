#[tokio::test]
async fn every_grant_keeps_its_contract() {
    testkit::conformance::grant::run_all().await;
}
