//! What claims become.

use provider::connector::{Identity, VouchError};
use serde_json::{Value, json};

use super::{client, site};

/// Who the subject of a token with these claims is.
async fn identity(config: Value, claims: Value) -> Result<Identity, VouchError> {
    let site = site(client(&config)).await;
    let mut token = site.good();
    for (name, value) in claims.as_object().unwrap() {
        token = token.claim(name, value.clone());
    }
    site.vouch(&token.sign()).await.map(|vouched| vouched.identity)
}

async fn groups(config: Value, claims: Value) -> Vec<String> {
    identity(config, claims).await.unwrap().groups
}

#[tokio::test]
async fn names_come_from_the_claims_that_are_configured() {
    let claims = json!({"name": "N", "upn": "u@x", "oid": "o-1", "preferred_username": "p", "nick": "k", "mail": "m@x"});
    let mapped = json!({"preferred_username": "nick", "email": "mail"});
    let config = json!({"userIDKey": "oid", "userNameKey": "upn", "claimMapping": mapped});
    let found = identity(config, claims.clone()).await.unwrap();
    assert_eq!((found.user_id.as_str(), found.username.as_str()), ("o-1", "u@x"));
    assert_eq!(found.preferred_username, "p", "the standard claim is there");
    assert_eq!(found.email, "m@x", "it is not");
    let config = json!({"overrideClaimMapping": true, "claimMapping": mapped});
    assert_eq!(identity(config, claims).await.unwrap().preferred_username, "k");
    let said = identity(json!({"userIDKey": "oid"}), json!({})).await;
    assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
}

#[tokio::test]
async fn groups_are_read_only_when_asked_for_and_in_three_shapes() {
    let on = json!({"insecureEnableGroups": true});
    assert!(groups(json!({}), json!({"groups": ["a"]})).await.is_empty());
    assert_eq!(groups(on.clone(), json!({"groups": ["a", {"name": "b"}]})).await, ["a", "b"]);
    assert_eq!(groups(on.clone(), json!({"groups": "a"})).await, ["a"]);
    assert!(groups(on.clone(), json!({})).await.is_empty());
    for bad in [json!([1]), json!([{"id": "x"}]), json!({"a": 1}), json!(7)] {
        let said = identity(on.clone(), json!({"groups": bad})).await;
        assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
    }
    let mapped = json!({"insecureEnableGroups": true, "claimMapping": {"groups": "roles"}});
    assert_eq!(groups(mapped.clone(), json!({"roles": ["r"]})).await, ["r"]);
    assert_eq!(groups(mapped.clone(), json!({"roles": ["r"], "groups": ["g"]})).await, ["g"]);
    let mut forced = mapped;
    forced["overrideClaimMapping"] = json!(true);
    assert_eq!(groups(forced, json!({"roles": ["r"], "groups": ["g"]})).await, ["r"]);
}

#[tokio::test]
async fn groups_are_filtered_renamed_and_made() {
    let config = json!({
        "insecureEnableGroups": true,
        "claimModifications": {
            "filterGroupClaims": {"groupsFilter": "^team-"},
            "modifyGroupNames": {"prefix": "up:", "suffix": "!"},
            "newGroupFromClaims": [
                {"claims": ["org", "role", "absent"], "delimiter": "-", "clearDelimiter": true, "prefix": "x"},
                {"claims": ["absent"], "delimiter": "-", "prefix": "y"},
            ],
        },
    });
    let claims = json!({"groups": ["team-a", "other"], "org": "a-c", "role": "dev"});
    assert_eq!(groups(config.clone(), claims).await, ["up:team-a!", "x-ac-dev"]);
    assert!(groups(config, json!({"groups": "other"})).await.is_empty(), "one text is filtered too");
}

#[tokio::test]
async fn dex_k2_allowed_groups_are_demanded_in_every_configuration() {
    for on in [true, false] {
        let config = json!({"insecureEnableGroups": on, "allowedGroups": ["a", "b"]});
        let expected: &[&str] = if on { &["b"] } else { &[] };
        assert_eq!(groups(config.clone(), json!({"groups": ["b", "c"]})).await, expected);
        for claims in [json!({"groups": ["c"]}), json!({})] {
            let said = identity(config.clone(), claims).await;
            assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
        }
    }
}
