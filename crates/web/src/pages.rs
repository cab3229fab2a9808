//! The pages: templates that are checked at start, filled with values that are escaped, in the language that the browser
//! likes. Templates of the operator's stand in for ours by their names (docs/pages.md).

use std::sync::Arc;

use minijinja::value::Kwargs;
use minijinja::{Environment, Value, context};
use provider::login::{Ask, Choice, ConsentPage, DevicePage, FormPost, Notice, PasswordPage};
use url::Url;

use crate::icons::icon;
use crate::language::{Language, Languages, filled};
use crate::theme::{Asset, Frontend};

/// All pages.
pub struct Pages {
    environment: Environment<'static>,
    languages: Languages,
    frontend: Frontend,
    prefix: String,
}

/// A template that cannot be used; the operator's fault, or ours.
#[derive(Debug, thiserror::Error)]
pub enum BadTheme {
    /// A template.
    #[error("a page template cannot be used: {0}")]
    Template(#[from] minijinja::Error),
    /// One that no page is made of.
    #[error("{0:?} is none of our templates")]
    Unknown(String),
    /// The texts.
    #[error("the texts cannot be read: {0}")]
    Texts(#[from] serde_json::Error),
}

/// Whom a page is for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visitor {
    /// `Accept-Language`
    pub(crate) languages: Option<String>,
    /// Shown with errors, so that a person can say which.
    pub(crate) request_id: Arc<str>,
}

impl Pages {
    /// The pages of a frontend; `prefix` is the issuer's path.
    ///
    /// # Errors
    /// [`BadTheme`]
    pub fn new(frontend: &Frontend, prefix: &str) -> Result<Self, BadTheme> {
        let mut environment = Environment::new();
        environment.add_filter("fill", fill);
        environment.add_function("icon", |kind: &str| Value::from_safe_string(icon(kind)));
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        for (name, source) in &frontend.templates {
            if !TEMPLATES.iter().any(|(known, _)| known == name) {
                return Err(BadTheme::Unknown(name.replace(".html", ".jinja")));
            }
            environment.add_template_owned(name.clone(), source.clone())?;
        }
        let languages = Languages::read()?;
        Ok(Self { environment, languages, frontend: frontend.clone(), prefix: prefix.to_owned() })
    }

    pub(crate) fn choose(&self, visitor: &Visitor, choices: &[Choice]) -> String {
        let choices: Vec<_> =
            choices.iter().map(|c| context! { name => &c.name, kind => c.kind, path => &c.path }).collect();
        self.render(visitor, "choose.html", context! { choices })
    }

    pub(crate) fn password(&self, visitor: &Visitor, page: &PasswordPage) -> String {
        let PasswordPage { action, connector, prompt, name, wrong, back } = page;
        let prompt = self.language(visitor).map_or(&**prompt, |language| language.prompt(prompt));
        self.render(visitor, "password.html", context! { action, connector, prompt, name, wrong, back })
    }

    pub(crate) fn consent(&self, visitor: &Visitor, page: &ConsentPage) -> String {
        let ConsentPage { action, request, client, logo, person, device, asks } = page;
        let said = |ask| self.language(visitor).map(|language| asked(language, ask));
        let asks: Vec<_> = asks.iter().filter_map(said).collect();
        let client_logo = logo.as_ref().map(Url::as_str);
        let values = context! { action, request, client, client_logo, person, device, asks };
        self.render(visitor, "consent.html", values)
    }

    pub(crate) fn device(&self, visitor: &Visitor, page: &DevicePage) -> String {
        let DevicePage { action, code, wrong } = page;
        self.render(visitor, "device.html", context! { action, code, wrong })
    }

    pub(crate) fn device_done(&self, visitor: &Visitor, client: &str) -> String {
        self.render(visitor, "device_done.html", context! { client })
    }

    pub(crate) fn by_hand(&self, visitor: &Visitor, code: &str) -> String {
        self.render(visitor, "by_hand.html", context! { code })
    }

    pub(crate) fn form_post(&self, visitor: &Visitor, form: &FormPost) -> String {
        let FormPost { action, fields } = form;
        self.render(visitor, "form_post.html", context! { action, fields })
    }

    pub(crate) fn error(&self, visitor: &Visitor, notice: Notice, detail: Option<&str>) -> String {
        let told = self.language(visitor).map_or_else(|| notice.to_string(), |to| to.notice(notice));
        self.render(visitor, "error.html", context! { told, detail, request_id => &*visitor.request_id })
    }

    pub(crate) fn home(&self, visitor: &Visitor, discovery: &str) -> String {
        self.render(visitor, "home.html", context! { discovery })
    }

    /// A file of the operator's, by its path below the issuer's.
    pub(crate) fn asset(&self, path: &str) -> Option<&Asset> {
        self.frontend.assets.get(path)
    }

    fn language(&self, visitor: &Visitor) -> Option<&Language> {
        self.languages.choose(visitor.languages.as_deref())
    }

    fn render(&self, visitor: &Visitor, name: &str, values: Value) -> String {
        let frontend = &self.frontend;
        let themed =
            |path: &str| frontend.assets.contains_key(path).then(|| format!("{}{path}", self.prefix));
        let all = context! {
            t => self.language(visitor).map(|language| language.texts.clone()),
            title => frontend.issuer.as_deref().unwrap_or("Obol"),
            prefix => &self.prefix,
            logo => frontend.logo(&self.prefix),
            style => themed("/theme/styles.css"),
            favicon => themed("/theme/favicon.png"),
            scheme => frontend.scheme,
            extra => &frontend.extra,
            ..values
        };
        let page = self.environment.get_template(name).and_then(|template| template.render(all));
        page.unwrap_or_else(|error| {
            tracing::error!(part = "pages", "{name}: {error}");
            String::from("<!doctype html><title>Error</title><p>This page cannot be shown.")
        })
    }
}

fn asked(language: &Language, ask: &Ask) -> String {
    let key = match ask {
        Ask::Profile => "ask_profile",
        Ask::Email => "ask_email",
        Ask::Groups => "ask_groups",
        Ask::Offline => "ask_offline",
        Ask::Federated => "ask_federated",
        Ask::Peer(name) => return filled(language.text("ask_peer"), &[("client", name)]),
    };
    language.text(key).to_owned()
}

/// `{{ t.asks_for | fill(client=client) }}`; what comes out is escaped like any text.
#[expect(clippy::needless_pass_by_value, reason = "a filter is handed its values")]
fn fill(text: &str, blanks: Kwargs) -> Result<String, minijinja::Error> {
    let mut named = Vec::new();
    for name in blanks.args() {
        let value: Value = blanks.get(name)?;
        named.push((name, value.to_string()));
    }
    blanks.assert_all_used()?;
    let blanks: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(filled(text, &blanks))
}

const TEMPLATES: [(&str, &str); 10] = [
    ("base.html", include_str!("../templates/base.html")),
    ("by_hand.html", include_str!("../templates/by_hand.html")),
    ("choose.html", include_str!("../templates/choose.html")),
    ("consent.html", include_str!("../templates/consent.html")),
    ("device.html", include_str!("../templates/device.html")),
    ("device_done.html", include_str!("../templates/device_done.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("form_post.html", include_str!("../templates/form_post.html")),
    ("home.html", include_str!("../templates/home.html")),
    ("password.html", include_str!("../templates/password.html")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_21_what_people_and_applications_say_is_escaped() {
        let evil = "\"><script>alert(1)</script>";
        let frontend = Frontend { issuer: Some("<b>".into()), ..Frontend::default() };
        let pages = Pages::new(&frontend, "/dex").unwrap();
        let visitor = Visitor { languages: Some(evil.into()), request_id: evil.into() };
        let form = PasswordPage {
            action: "/dex/auth/local/login?state=a".into(),
            connector: evil.into(),
            prompt: evil.into(),
            name: evil.into(),
            wrong: true,
            back: Some(evil.into()),
        };
        let choice = Choice { name: evil.into(), kind: "test", path: evil.into() };
        let consent = ConsentPage {
            action: evil.into(),
            request: evil.into(),
            client: evil.into(),
            logo: Url::parse("https://app.example/\"><script>alert(1)</script>").ok(),
            person: evil.into(),
            device: Some(evil.into()),
            asks: vec![Ask::Peer(evil.into())],
        };
        let device = DevicePage { action: evil.into(), code: evil.into(), wrong: true };
        let post = FormPost { action: evil.into(), fields: vec![(evil.into(), evil.into())] };
        for html in [
            pages.choose(&visitor, &[choice]),
            pages.password(&visitor, &form),
            pages.consent(&visitor, &consent),
            pages.device(&visitor, &device),
            pages.device_done(&visitor, evil),
            pages.by_hand(&visitor, evil),
            pages.form_post(&visitor, &post),
            pages.error(&visitor, Notice::Malformed, Some(evil)),
            pages.home(&visitor, evil),
        ] {
            let html = html.replace("&#x2f;", "/");
            assert!(html.contains("/dex/static/obol.css") && html.ends_with("</html>"), "{html}");
            let html = html.replace(r#"<script src="/dex/static/submit.js" defer>"#, "");
            assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
            assert!(!html.contains("style=") && !html.contains("<style"), "{html}");
        }
    }

    #[test]
    fn pages_speak_german_too() {
        let pages = Pages::new(&Frontend::default(), "").unwrap();
        let visitor = Visitor { languages: Some("de-DE,de;q=0.9".into()), ..Visitor::default() };
        let form = PasswordPage {
            action: "/".into(),
            connector: "Email".into(),
            prompt: "Email Address".into(),
            name: String::new(),
            wrong: true,
            back: Some("/auth?x".into()),
        };
        let html = pages.password(&visitor, &form);
        assert!(
            html.contains(r#"<html lang="de""#)
                && html.contains("E-Mail-Adresse oder Passwort stimmt nicht.")
        );
        assert!(pages.error(&visitor, Notice::Denied, None).contains("Sie dürfen sich hier nicht anmelden."));
        assert!(html.contains(">Anders anmelden</a>"), "{html}");
        let english = pages.password(&Visitor::default(), &form);
        assert!(english.contains("Email Address or password is not right."), "{english}");
    }
}
