//! The part of the contract that holds for every connector, by what it can do: signing in, asking again, vouching. A
//! connector joins with one [`Entrance`]; what it cannot do is asked for and not tried.

use std::net::IpAddr;
use std::sync::Arc;

use ambient::{BoxFuture, Clock as _, Secret, Tasks};
use http::HeaderMap;
use provider::connector::{
    Flow, Hints, Identity, Inbound, Opened, PasswordFlow, Presented, RedirectFlow, SignedIn, UpstreamError,
    VouchError,
};
use serde_json::json;
use token::UnverifiedJwt;
use url::Url;
use wire::form::Form;
use wire::oauth::TokenType;

use super::HANGS;
use crate::FakeClock;
use crate::issuer::{Alg, Mint, TestKey};

/// A fresh connector, and how somebody comes in through it.
pub struct Entrance {
    /// The connector, with what its upstream needs behind it.
    pub opened: Opened,
    /// Its clock.
    pub clock: FakeClock,
    /// How somebody signs in.
    pub way: Way,
    /// Who that then is, with groups.
    pub person: Identity,
}

/// How somebody signs in.
pub enum Way {
    /// Nobody does.
    None,
    /// With these; a name that is not `name` is nobody's.
    Password {
        /// The name.
        name: &'static str,
        /// The password.
        password: &'static str,
    },
    /// By redirect.
    Redirect {
        /// Plays upstream and browser: is given the address that the browser was sent to, sees to it that the upstream
        /// answers, and says with which query the browser comes back.
        back: Box<dyn Fn(&Url) -> String + Send + Sync>,
        /// Queries that a browser may come back with and that let nobody in.
        refused: Vec<&'static str>,
    },
    /// A proxy at this address says who it is, by these headers.
    Proxied {
        /// Where the proxy is.
        from: IpAddr,
        /// What it sends.
        headers: HeaderMap,
    },
}

/// Makes an entrance; called once per case.
pub type Open = fn() -> BoxFuture<'static, Entrance>;

/// Runs every case, each on a connector of its own, and says which ones failed.
pub async fn run_all(kind: &str, open: Open) {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let run = async move { tokio::time::timeout(HANGS, async { case(open().await).await }).await };
        match Tasks::default().finish(run).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name} (hangs)")),
            Err(_) => failed.push((*name).to_owned()),
        }
    }
    assert!(failed.is_empty(), "{kind} breaks its contract: {}", failed.join(", "));
}

type Case = fn(Entrance) -> BoxFuture<'static, ()>;

const CASES: &[(&str, Case)] = &[
    ("it_is_called_something", |site| Box::pin(it_is_called_something(site))),
    ("the_right_one_signs_in", |site| Box::pin(the_right_one_signs_in(site))),
    ("nobody_else_signs_in", |site| Box::pin(nobody_else_signs_in(site))),
    ("a_departure_carries_the_state_and_keeps_the_rest", |site| {
        Box::pin(a_departure_carries_the_state(site))
    }),
    ("whoever_hangs_up_leaves_no_trace", |site| Box::pin(whoever_hangs_up_leaves_no_trace(site))),
    ("a_refresh_answers_for_that_person_or_not_at_all", |site| {
        Box::pin(a_refresh_answers_for_that_person(site))
    }),
    ("a_text_that_is_no_token_of_its_issuer_is_refused", |site| Box::pin(foreign_tokens_are_refused(site))),
];

impl Entrance {
    fn password(&self) -> &dyn PasswordFlow {
        match self.opened.connector.flow() {
            Flow::Password(flow) => flow,
            _ => panic!("the entrance is a password, and the connector's flow is none"),
        }
    }

    fn redirect(&self) -> &dyn RedirectFlow {
        match self.opened.connector.flow() {
            Flow::Redirect(flow) => flow,
            _ => panic!("the entrance is a redirect, and the connector's flow is none"),
        }
    }

    /// Signs in as the way says; `None` where nobody does.
    async fn sign_in(&self) -> Option<SignedIn> {
        match &self.way {
            Way::None => {
                assert!(matches!(self.opened.connector.flow(), Flow::None), "it has a way in");
                None
            }
            Way::Password { name, password } => {
                let said = self.password().login(ALL, name, &Secret::from(*password)).await;
                Some(said.unwrap().unwrap_or_else(|| panic!("the right password is refused")))
            }
            Way::Redirect { back, .. } => {
                let departure = self.redirect().depart(ALL, &callback(), STATE).await.unwrap();
                let query = back(&departure.to);
                Some(self.arrive(departure.keep.expose(), &query).await.unwrap())
            }
            Way::Proxied { from, headers } => Some(self.proxied(Some(*from), headers).unwrap()),
        }
    }

    fn proxied(&self, from: Option<IpAddr>, headers: &HeaderMap) -> Result<SignedIn, UpstreamError> {
        match self.opened.connector.flow() {
            Flow::Proxied(flow) => flow.arrive(&Inbound { connection: from, headers }),
            _ => panic!("the entrance is a proxy, and the connector's flow is none"),
        }
    }

    async fn arrive(&self, kept: &[u8], query: &str) -> Result<SignedIn, UpstreamError> {
        let query = Form::parse(query, &[]).unwrap();
        self.redirect().arrive(ALL, &callback(), kept, &query).await
    }
}

async fn it_is_called_something(site: Entrance) {
    assert!(!site.opened.id.is_empty() && !site.opened.kind.is_empty() && !site.opened.name.is_empty());
    site.opened.connector.warm();
}

async fn the_right_one_signs_in(site: Entrance) {
    for _ in 0..2 {
        let Some(signed_in) = site.sign_in().await else { return };
        assert_eq!(signed_in.identity, site.person);
        assert!(!signed_in.identity.user_id.is_empty());
        assert!(site.opened.connector.knows(&signed_in.identity.user_id));
    }
}

/// A wrong name or password is an answer (`Ok(None)`) and no error; what a browser brings may be either, but nobody.
async fn nobody_else_signs_in(site: Entrance) {
    match &site.way {
        Way::None | Way::Proxied { .. } => {}
        Way::Password { name, password } => {
            let (longer, huge) = (format!("{password}x"), "x".repeat(1 << 20));
            let shorter: String = password.chars().skip(1).collect();
            let doubled = format!("{name},{name}");
            for (name, password) in [
                (*name, longer.as_str()),
                (name, &shorter),
                (name, ""),
                (name, "\0"),
                (name, &huge),
                (name, *name),
                ("", password),
                ("", ""),
                ("*", password),
                (")(uid=*", password),
                ("' OR 1=1 --", password),
                (&doubled, password),
                ("nobody\r\n\0", password),
                (&huge, password),
            ] {
                let said = site.password().login(ALL, name, &Secret::from(password)).await;
                assert!(matches!(said, Ok(None)), "{name:.40} {password:.40}: {said:?}");
            }
        }
        Way::Redirect { refused, .. } => {
            for query in refused {
                let departure = site.redirect().depart(ALL, &callback(), STATE).await.unwrap();
                let said = site.arrive(departure.keep.expose(), query).await;
                assert!(
                    matches!(said, Err(UpstreamError::Denied(_) | UpstreamError::Invalid(_))),
                    "{query}: {said:?}"
                );
            }
        }
    }
    if let Way::Proxied { from, headers } = &site.way {
        let elsewhere = IpAddr::from([192, 0, 2, 255]);
        for (from, headers) in
            [(None, headers), (Some(elsewhere), headers), (Some(*from), &HeaderMap::default())]
        {
            let said = site.proxied(from, headers);
            assert!(
                matches!(said, Err(UpstreamError::Denied(_) | UpstreamError::Invalid(_))),
                "{from:?}: {said:?}"
            );
        }
    }
    if !matches!(site.way, Way::None) {
        assert!(site.sign_in().await.is_some(), "and the right one still does");
    }
}

async fn a_departure_carries_the_state(site: Entrance) {
    if !matches!(site.way, Way::Redirect { .. }) {
        return;
    }
    let depart = || async { site.redirect().depart(ALL, &callback(), STATE).await.unwrap() };
    let departure = depart().await;
    let states: Vec<_> = departure.to.query_pairs().filter(|(name, _)| name == "state").collect();
    assert!(matches!(states.as_slice(), [(_, state)] if state == STATE), "{states:?}");
    assert!(departure.to.fragment().is_none() && departure.to.username().is_empty());
    // What is kept is a secret of this attempt: nothing of it travels through the browser readably.
    let kept = String::from_utf8_lossy(departure.keep.expose()).into_owned();
    assert!(kept.is_empty() || !departure.to.as_str().contains(&kept));
}

/// Somebody closes the browser while the upstream is asked: the next one signs in all the same.
async fn whoever_hangs_up_leaves_no_trace(site: Entrance) {
    for _ in 0..3 {
        let mut hung_up = Box::pin(site.sign_in());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = hung_up.as_mut().poll(&mut context);
        drop(hung_up);
    }
    if let Some(signed_in) = site.sign_in().await {
        assert_eq!(signed_in.identity, site.person);
    }
}

async fn a_refresh_answers_for_that_person(site: Entrance) {
    let Some(refresh) = site.opened.connector.refresh() else { return };
    let signed_in = site.sign_in().await.unwrap_or_else(|| panic!("nobody signs in, and can be asked again"));
    let known = &signed_in.identity;
    // Something else was kept, by another version or another connector.
    for garbage in [&b""[..], b"\xff\xfe", b"{}", b"null", &[b'['; 100_000]] {
        if let Ok(answer) = refresh.refresh(ALL, known, garbage).await {
            assert_eq!(answer.identity.user_id, known.user_id);
        }
    }
    for stranger in [
        Identity { user_id: "somebody-else".into(), ..known.clone() },
        Identity { user_id: String::new(), ..known.clone() },
        Identity { user_id: "somebody-else".into(), email: "else@example.com".into(), ..Identity::default() },
    ] {
        if let Ok(answer) = refresh.refresh(ALL, &stranger, signed_in.kept.expose()).await {
            assert_eq!(answer.identity.user_id, stranger.user_id, "it answers for another person");
        }
    }
}

async fn foreign_tokens_are_refused(site: Entrance) {
    let Some(seam) = site.opened.connector.subject() else { return };
    let key = Arc::new(TestKey::generate(Alg::Es256, "evil"));
    let now = site.clock.now();
    let claims = json!({
        "iss": "https://evil.example", "sub": "root", "aud": "obol", "iat": now.unix(), "exp": now.unix() + 60,
    });
    let forged = Mint::new(claims, key).sign();
    let unverified = UnverifiedJwt::parse(&forged).unwrap();
    assert!(!seam.may_own(&unverified), "it claims tokens of an issuer that it does not trust");
    for raw in [forged.as_str(), "", "x", "..", "a.b.c", "e30.e30.", &"x".repeat(1 << 20), "\0\u{202e}"] {
        for kind in [TokenType::IdToken, TokenType::Jwt, TokenType::AccessToken] {
            let presented = Presented { kind, raw, unverified: UnverifiedJwt::parse(raw).ok() };
            let said = seam.vouch(presented, now).await;
            let refused = matches!(said, Err(VouchError::Rejected(_) | VouchError::Unsupported(_)));
            assert!(refused, "{raw:.40}: {said:?}");
        }
    }
}

fn callback() -> Url {
    Url::parse("https://obol.example/dex/callback").unwrap()
}

const STATE: &str = "the state & more";
const ALL: Hints = Hints { offline: true, groups: true };
