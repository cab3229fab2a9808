//! npm's `openid-client` as the application.

use super::play;

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[tokio::test]
        #[ignore = "peer: node openid-client"]
        async fn $name() {
            play("relying_party", include_str!("relying_party.mjs"), stringify!($name)).await;
        }
    )*};
}

scenarios! {
    a_person_signs_in_with_a_password
    a_person_signs_in_through_an_upstream
    a_public_client_signs_in_with_pkce_alone
    an_es256_client_gets_es256
    no_state_comes_back_where_none_was_sent
    hybrid_and_implicit_answers_are_bound_to_each_other
    a_token_is_taken_back
    a_password_is_a_grant_where_it_is_configured
    a_wrong_password_shows_the_form_again
    a_refused_consent_is_access_denied
    a_refresh_token_is_good_once
    attack_21_a_replayed_code_ends_its_grant
    attack_21_a_wrong_verifier_gets_nothing
    attack_21_pages_from_before_the_sign_in_are_over
}
