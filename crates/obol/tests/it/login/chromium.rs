//! Chromium as the browser, with a small application on a loopback port.

use super::play;

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[tokio::test]
        #[ignore = "peer: chromium by node playwright-core"]
        async fn $name() {
            play("chromium", include_str!("chromium.mjs"), stringify!($name)).await;
        }
    )*};
}

scenarios! {
    a_person_walks_through_every_page
    two_tabs_do_not_disturb_each_other
    going_back_after_consent_says_so
    attack_21_another_browsers_state_leads_nowhere
    attack_21_another_sites_form_is_refused
    a_device_is_connected_by_its_person
    a_form_post_sends_itself_and_has_a_button
    a_code_is_carried_over_by_hand
    a_person_signs_in_by_keyboard_alone
    the_pages_look_right_on_phones_and_desks
}
