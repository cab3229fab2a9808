//! The pages: templates that are checked at start, filled with values that are escaped.

use minijinja::{Environment, context};
use provider::login::{Choice, ConsentPage, PasswordPage};

/// All pages.
pub struct Pages {
    environment: Environment<'static>,
    title: String,
    prefix: String,
}

/// A template that cannot be used; the operator's fault, or ours.
#[derive(Debug, thiserror::Error)]
#[error("a page template cannot be used: {0}")]
pub struct BadTheme(#[from] minijinja::Error);

impl Pages {
    /// Built-in pages. `title` stands in every one; `prefix` is the issuer's path.
    ///
    /// # Errors
    /// [`BadTheme`]
    pub fn new(title: Option<&str>, prefix: &str) -> Result<Self, BadTheme> {
        let mut environment = Environment::new();
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment, title: title.unwrap_or("Obol").to_owned(), prefix: prefix.to_owned() })
    }

    pub(crate) fn choose(&self, choices: &[Choice]) -> String {
        let choices: Vec<_> =
            choices.iter().map(|c| context! { name => &c.name, kind => c.kind, path => &c.path }).collect();
        self.render("choose.html", context! { choices })
    }

    pub(crate) fn password(&self, page: &PasswordPage) -> String {
        let PasswordPage { action, connector, prompt, name, wrong } = page;
        self.render("password.html", context! { action, connector, prompt, name, wrong })
    }

    pub(crate) fn consent(&self, page: &ConsentPage) -> String {
        let ConsentPage { action, request, client, person, asks } = page;
        self.render("consent.html", context! { action, request, client, person, asks })
    }

    pub(crate) fn error(&self, told: &str) -> String {
        self.render("error.html", context! { told })
    }

    pub(crate) fn home(&self, discovery: &str) -> String {
        self.render("home.html", context! { discovery })
    }

    fn render(&self, name: &str, values: minijinja::Value) -> String {
        let all = context! { title => &self.title, prefix => &self.prefix, ..values };
        let page = self.environment.get_template(name).and_then(|template| template.render(all));
        page.unwrap_or_else(|error| {
            tracing::error!(part = "pages", "{name}: {error}");
            String::from("<!doctype html><title>Error</title><p>This page cannot be shown.")
        })
    }
}

const TEMPLATES: [(&str, &str); 6] = [
    ("base.html", include_str!("../templates/base.html")),
    ("choose.html", include_str!("../templates/choose.html")),
    ("consent.html", include_str!("../templates/consent.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("home.html", include_str!("../templates/home.html")),
    ("password.html", include_str!("../templates/password.html")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_21_what_people_type_is_escaped() {
        let pages = Pages::new(Some("<b>"), "/dex").unwrap();
        let evil = "\"><script>alert(1)</script>";
        let form = PasswordPage {
            action: "/dex/auth/local/login?state=a".into(),
            connector: evil.into(),
            prompt: evil.into(),
            name: evil.into(),
            wrong: true,
        };
        for html in [pages.password(&form), pages.error(evil), pages.home(evil)] {
            assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        }
        assert!(pages.password(&form).replace("&#x2f;", "/").contains("/dex/static/obol.css"));
    }
}
