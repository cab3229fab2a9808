//! What of a sign-in may be shown in logs and panics: whose it is and where it goes. Not what names or opens it (the cookie, the
//! `state`, a code), nor what somebody typed, which may be a password in the wrong field.

use std::fmt::{Debug, Formatter, Result};

use super::{
    Answer, Attempt, ConsentPage, CookieChange, DevicePage, FormPost, PasswordPage, Way, attempt::Person,
};

impl Debug for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Choose(choices) => f.debug_tuple("Choose").field(&choices.len()).finish(),
            Self::Password(page) => page.fmt(f),
            Self::Consent(page) => page.fmt(f),
            Self::Redirect(to) => f.debug_tuple("Redirect").field(&place(to)).finish(),
            Self::FormPost(form) => form.fmt(f),
            Self::ByHand(_) => f.write_str("ByHand(..)"),
            Self::Device(page) => page.fmt(f),
            Self::DeviceDone(client) => f.debug_tuple("DeviceDone").field(client).finish(),
        }
    }
}

impl Debug for PasswordPage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("PasswordPage");
        shown.field("connector", &self.connector).field("wrong", &self.wrong).finish_non_exhaustive()
    }
}

impl Debug for DevicePage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DevicePage").field("wrong", &self.wrong).finish_non_exhaustive()
    }
}

impl Debug for ConsentPage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("ConsentPage");
        shown.field("client", &self.client).field("asks", &self.asks).finish_non_exhaustive()
    }
}

impl Debug for FormPost {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let names: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("FormPost").field("action", &place(&self.action)).field("fields", &names).finish()
    }
}

impl Debug for CookieChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // An attempt's cookie is named after its attempt, which is the `state`.
        let kind = self.name.rsplit_once('_').map_or(self.name.as_str(), |(kind, _)| kind);
        let mut shown = f.debug_struct("CookieChange");
        shown.field("kind", &kind).field("removes", &self.value.is_none());
        shown.field("path", &self.path).field("secure", &self.secure).finish_non_exhaustive()
    }
}

impl Debug for Attempt {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let person = self.person.as_ref().map(|Person { identity, .. }| &identity.user_id);
        let mut shown = f.debug_struct("Attempt");
        shown.field("client", &self.client).field("way", &self.way).field("response", &self.response);
        shown.field("scopes", &self.scopes).field("connector", &self.connector);
        shown.field("expires", &self.expires).field("person", &person).field("agreed", &self.agreed);
        shown.finish_non_exhaustive()
    }
}

impl Debug for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Uri { uri, mode, .. } => f.debug_tuple("Uri").field(&place(uri)).field(mode).finish(),
            Self::ByHand => f.write_str("ByHand"),
            Self::Device { .. } => f.write_str("Device(..)"),
        }
    }
}

/// A URL without what it carries.
fn place(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ambient::Secret;

    use super::super::{Ask, Mode, Reply};
    use super::*;
    use crate::connector::Identity;
    use crate::records::Kept;
    use crate::records::grant::{Challenge, Method};
    use crate::response_type::ResponseType;

    const CANARY: &str = "canary";

    fn attempt(way: Way) -> Attempt {
        let canary = || CANARY.to_owned();
        Attempt {
            id: canary(),
            client: "app".into(),
            way,
            response: ResponseType::CODE,
            scopes: vec!["openid".into()],
            nonce: Some(canary()),
            challenge: Some(Challenge { method: Method::Plain, value: canary() }),
            hint: Some(canary()),
            force_consent: false,
            connector: "up".into(),
            kept: Kept::from(Secret::new(CANARY.as_bytes().to_vec())),
            expires: 7,
            person: Some(Person {
                identity: Identity { user_id: "ana".into(), email: canary(), ..Identity::default() },
                kept: Kept::from(Secret::new(CANARY.as_bytes().to_vec())),
                at: 5,
            }),
            agreed: true,
        }
    }

    #[test]
    fn attack_26_nothing_that_opens_a_sign_in_is_shown() {
        let canary = || CANARY.to_owned();
        let uri =
            Way::Uri { uri: "https://app.example/cb?x=canary".into(), mode: Mode::Query, state: canary() };
        let cookie = |name: &str| CookieChange {
            name: name.to_owned(),
            value: Some(canary()),
            max_age: 5,
            path: "/dex".into(),
            secure: true,
        };
        let form =
            FormPost { action: "https://app.example/cb".into(), fields: vec![("code".into(), canary())] };
        let password = PasswordPage {
            action: canary(),
            connector: "Up".into(),
            prompt: "Name".into(),
            name: canary(),
            wrong: true,
            back: Some(canary()),
        };
        let consent = ConsentPage {
            action: "/approval".into(),
            request: canary(),
            client: "App".into(),
            logo: None,
            person: canary(),
            device: Some(canary()),
            asks: vec![Ask::Email],
        };
        for answer in [
            Answer::Redirect("https://app.example/cb?code=canary#canary".into()),
            Answer::Redirect("/approval?req=canary".into()),
            Answer::FormPost(form),
            Answer::ByHand(canary()),
            Answer::Password(password),
            Answer::Consent(consent),
            Answer::Device(DevicePage { action: "/device".into(), code: canary(), wrong: true }),
        ] {
            let reply = Reply {
                answer,
                cookie: Some(cookie("obol_attempt_canary")),
                others: vec![cookie("obol_known")],
            };
            let shown = format!("{reply:?} {reply:#?}");
            assert!(!shown.contains(CANARY) && shown.contains("/dex"), "{shown}");
        }
        for way in [uri, Way::ByHand, Way::Device { code: canary() }] {
            let shown = format!("{:?} {:#?}", attempt(way.clone()), attempt(way).challenge);
            assert!(!shown.contains(CANARY) && shown.contains("app") && shown.contains("ana"), "{shown}");
        }
    }
}
