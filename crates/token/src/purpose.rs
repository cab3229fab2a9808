//! What a token is checked for. Each purpose is a type, says which kinds of token serve it, and converts into no
//! other (RFC 8725 section 3.12: mutually exclusive validation rules). They all stand here, to be reviewed as one list.

use std::time::Duration;

/// A purpose of verification. The list is closed: a new purpose is one entry below.
pub trait Purpose: sealed::Sealed + Send + Sync + 'static {
    /// For logs, metrics and audit events.
    const NAME: &'static str;
    /// The `typ` values that serve this purpose (lower case, without `application/`).
    const KINDS: &'static [&'static str];
    /// What holds for a token without `typ`.
    const UNTYPED: Untyped;
    /// Whether the claim `events` must be there (logout tokens) or must not (all others).
    const EVENTS: bool = false;
    /// Whether an expired token still serves (only as a hint at whom the request is about).
    const EXPIRED_SERVES: bool = false;
    /// How long after `exp` a token passes unless [`crate::Expect::late_by`] says otherwise.
    const LATE_BY: Duration = Duration::from_secs(60);
}

/// Tokens without a `typ` header: most of the world's ID tokens have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untyped {
    /// They serve.
    Serve,
    /// They serve if their key was imported from a Dex, which wrote no `typ`.
    UnderImportedKeys,
    /// They do not serve.
    Refused,
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident { $($rule:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Purpose for $name {
            const NAME: &'static str = stringify!($name);
            $($rule)*
        }
    )*};
}

purposes! {
    /// A foreign token that is exchanged (RFC 8693 `subject_token`).
    SubjectToken {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
    }
    /// A foreign token that names who acts (RFC 8693 `actor_token`).
    ActorToken {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
    }
    /// An ID token that an upstream provider answered with when Obol logged somebody in there.
    UpstreamIdToken {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
    }
    /// An upstream's logout token (OpenID Connect Back-Channel Logout section 2.4).
    UpstreamLogout {
        const KINDS: &'static [&'static str] = &["logout+jwt", "jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
        const EVENTS: bool = true;
    }
    /// An access token of Obol's own, brought as a bearer token (RFC 9068 section 4).
    OwnAccessToken {
        const KINDS: &'static [&'static str] = &["at+jwt"];
        const UNTYPED: Untyped = Untyped::UnderImportedKeys;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// An ID token of Obol's own.
    OwnIdToken {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::UnderImportedKeys;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// An ID token of Obol's own as `id_token_hint`: says whom a request is about, proves nothing more.
    OwnIdHint {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::UnderImportedKeys;
        const EXPIRED_SERVES: bool = true;
    }
    /// A token of Obol's own that is exchanged for a narrower one.
    OwnSubjectToken {
        const KINDS: &'static [&'static str] = &["at+jwt", "jwt"];
        const UNTYPED: Untyped = Untyped::UnderImportedKeys;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// A client's proof of who it is (RFC 7523 section 2.2).
    ClientAssertion {
        const KINDS: &'static [&'static str] = &["jwt", "client-authentication+jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
    }
    /// An identity assertion authorization grant from another domain's provider.
    IdentityGrant {
        const KINDS: &'static [&'static str] = &["oauth-id-jag+jwt"];
        const UNTYPED: Untyped = Untyped::Refused;
    }
    /// The bearer token of a request to the proxy. The API server reads no `typ`; kinds that are never meant for it
    /// are refused all the same. It grants no time after `exp`, so neither does this.
    ProxyCaller {
        const KINDS: &'static [&'static str] = &["jwt", "at+jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// The ID token that the command-line client was given for who signed in (OpenID Connect Core section 3.1.3.7). It is
    /// handed to an API server, which grants no time after `exp`.
    SignedInIdToken {
        const KINDS: &'static [&'static str] = &["jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// The access token that the command-line client was given for who signed in, where an API server wants that one.
    SignedInAccessToken {
        const KINDS: &'static [&'static str] = &["at+jwt", "jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
        const LATE_BY: Duration = Duration::ZERO;
    }
    /// A token that the command-line client was given, to be explained. Nothing is granted for it.
    ClientSide {
        const KINDS: &'static [&'static str] = &["jwt", "at+jwt"];
        const UNTYPED: Untyped = Untyped::Serve;
    }
}
