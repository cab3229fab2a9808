//! What a person is told when a sign-in does not go on. English stands here, for the audit log too; pages in other
//! languages look a text up by [`Notice::key`].

/// One thing to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Notice {
    /// No `client_id`.
    #[error("The application did not say who it is.")]
    NoClient,
    /// A `client_id` that is not configured.
    #[error("The application is not registered here.")]
    UnknownClient,
    /// A client that was removed meanwhile.
    #[error("The application is no longer registered here.")]
    ClientGone,
    /// No `redirect_uri`.
    #[error("The application did not say where to return to.")]
    NoReturn,
    /// A `redirect_uri` that is not the client's.
    #[error("The application named a return address that is not registered for it.")]
    BadReturn,
    /// A `redirect_uri` that was removed meanwhile.
    #[error("The application's return address is no longer registered.")]
    ReturnGone,
    /// The client may use no connector.
    #[error("This application cannot be signed in to: no connector is allowed for it.")]
    NoConnector,
    /// A connector that is not there, or not for this client.
    #[error("There is no such way to sign in.")]
    UnknownConnector,
    /// A connector that was removed meanwhile.
    #[error("This way to sign in is no longer there. Please begin again at the application.")]
    ConnectorGone,
    /// The attempt was used.
    #[error("This sign-in is already finished. Please begin again at the application.")]
    Finished,
    /// The attempt was used or is over.
    #[error("This sign-in is already finished or has expired. Please begin again at the application.")]
    Over,
    /// The browser does not hold the attempt.
    #[error(
        "This sign-in is already finished, has expired, was begun in another browser, or cookies are blocked. Please begin again at the application."
    )]
    NotHeld,
    /// A callback without state.
    #[error("The way back from the sign-in service lacks its state.")]
    NoState,
    /// The upstream says no.
    #[error("You are not allowed to sign in here.")]
    Denied,
    /// The upstream's answer is not good.
    #[error("The sign-in service gave an answer that cannot be trusted.")]
    Untrusted,
    /// The upstream is out of reach.
    #[error("The sign-in service cannot be reached. Please try again in a moment.")]
    Unreachable,
    /// No room for one more password.
    #[error("Too many people are signing in. Please try again in a moment.")]
    Crowded,
    /// The request does not fit into a cookie.
    #[error("The application's request is too large.")]
    TooLarge,
    /// The request cannot be read.
    #[error("The request is malformed.")]
    Malformed,
    /// A form of somebody else's.
    #[error("This form was sent from another site.")]
    OtherSite,
    /// Ours.
    #[error("Something went wrong on our side. Please try again.")]
    Fault,
    /// The client cannot be answered, since the person carries the code over.
    #[error("The application's request cannot be granted.")]
    CannotBeGranted,
    /// A user code that nobody waits for.
    #[error("There is no such code, or it has expired.")]
    UserCode,
    /// The device stopped waiting, or somebody decided before.
    #[error("The device is no longer waiting. Please begin again at the device.")]
    DeviceOver,
    /// Too many wrong tries.
    #[error("There were too many wrong tries. Please wait a little and try again.")]
    TooMany,
    /// The person did not agree, and there is nobody to tell.
    #[error("You did not agree. You can close this page.")]
    NotAgreed,
}

impl Notice {
    /// All of them, for whoever translates.
    pub const ALL: [Self; 26] = [
        Self::NoClient,
        Self::UnknownClient,
        Self::ClientGone,
        Self::NoReturn,
        Self::BadReturn,
        Self::ReturnGone,
        Self::NoConnector,
        Self::UnknownConnector,
        Self::ConnectorGone,
        Self::Finished,
        Self::Over,
        Self::NotHeld,
        Self::NoState,
        Self::Denied,
        Self::Untrusted,
        Self::Unreachable,
        Self::Crowded,
        Self::TooLarge,
        Self::Malformed,
        Self::OtherSite,
        Self::Fault,
        Self::CannotBeGranted,
        Self::UserCode,
        Self::DeviceOver,
        Self::TooMany,
        Self::NotAgreed,
    ];

    /// The name of its text in other languages.
    pub fn key(self) -> String {
        let mut key = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !key.is_empty() {
                key.push('_');
            }
            key.push(letter.to_ascii_lowercase());
        }
        key
    }
}
