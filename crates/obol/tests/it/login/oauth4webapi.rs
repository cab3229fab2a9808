//! npm's `oauth4webapi` as the application: the same author's lower half, which leaves nothing unchecked.

use super::play;

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[tokio::test]
        #[ignore = "peer: node oauth4webapi"]
        async fn $name() {
            play("oauth4webapi", include_str!("oauth4webapi.mjs"), stringify!($name)).await;
        }
    )*};
}

scenarios! {
    a_code_flow_is_good_to_the_letter
    a_device_flow_is_good_to_the_letter
    revocation_and_introspection_are_good_to_the_letter
}
