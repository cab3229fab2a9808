//! The upstream that lets everybody in.

use ambient::Clock as _;
use provider::connector::{Flow, Hints, Presented, SubjectAudience, VouchError};
use serde_json::json;
use testkit::FakeClock;
use url::Url;
use wire::form::Form;
use wire::oauth::TokenType;

use crate::open;

#[tokio::test]
async fn it_comes_straight_back_as_one_person() {
    let opened = open("mockCallback", &json!({}), &FakeClock::default());
    let Flow::Redirect(flow) = opened.connector.flow() else { panic!("not a redirect") };
    let callback = Url::parse("https://obol.example/dex/callback").unwrap();
    let departure = flow.depart(Hints::default(), &callback, "s&t").await.unwrap();
    assert_eq!(departure.to.as_str(), "https://obol.example/dex/callback?state=s%26t");
    let query = Form::parse("state=s%26t", &[]).unwrap();
    let signed_in = flow.arrive(Hints::default(), &callback, b"", &query).await.unwrap();
    assert_eq!(signed_in.identity.user_id, "0-385-28089-0");
    assert_eq!(signed_in.identity.groups, ["authors"]);
    let again = opened.connector.refresh().unwrap();
    let again = again.refresh(Hints::default(), &signed_in.identity, signed_in.kept.expose()).await.unwrap();
    assert_eq!(again.identity, signed_in.identity);
}

#[tokio::test]
async fn dex_t2_it_exchanges_nothing_unless_told_to() {
    let clock = FakeClock::default();
    let token = || Presented { kind: TokenType::AccessToken, raw: "x", unverified: None };
    let opened = open("mockCallback", &json!({}), &clock);
    let said = opened.connector.subject().unwrap().vouch(token(), clock.now()).await;
    assert!(matches!(said, Err(VouchError::Unsupported(_))), "{said:?}");
    let opened = open("mockCallback", &json!({"unsafeDexExchange": true}), &clock);
    let vouched = opened.connector.subject().unwrap().vouch(token(), clock.now()).await.unwrap();
    assert_eq!(vouched.audience, SubjectAudience::Unknown);
    assert_eq!(vouched.claims.subject(), Some("0-385-28089-0"));
}
