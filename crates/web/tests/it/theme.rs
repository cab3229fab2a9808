//! `frontend`: what operators change about the pages (dex.md 5).

use std::fs;
use std::path::Path;

use config::{Faults, KeyStyle};
use testkit::stage::{CONFIG, authorization, section};

use crate::site::{Answer, Site};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn config(dir: &Path, more: &str) -> String {
    format!("{CONFIG}frontend: {{dir: '{}'{more}}}\n", dir.display())
}

/// What is wrong with a frontend, and what is only told.
fn faults(frontend: &str) -> (String, String) {
    let faults = Faults::new();
    let config = format!("{CONFIG}frontend: {frontend}\n");
    web::Settings::read(&mut section(&config).fields(KeyStyle::Dex, &faults), web::Instead::default());
    let text = |list: Vec<config::Fault>| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    (text(faults.errors()), text(faults.all()))
}

async fn password_error(site: &Site) -> Answer {
    site.get("/dex/auth?client_id=nobody").await
}

#[tokio::test]
async fn frontend_theme_is_light_or_dark_or_what_the_browser_likes() {
    for (theme, scheme) in
        [("", None), ("light", Some("light")), ("dark", Some("dark")), ("coreos", Some("light"))]
    {
        let site = Site::with(&format!("{CONFIG}frontend: {{theme: '{theme}'}}\n")).await;
        let body = site.get("/dex").await.body;
        let said = scheme.map(|scheme| format!("data-scheme=\"{scheme}\""));
        assert_eq!(body.contains("data-scheme"), scheme.is_some(), "{theme}");
        assert!(said.is_none_or(|said| body.contains(&said)), "{body}");
    }
    assert!(faults("{theme: purple}").0.contains("write light or dark"));
}

#[tokio::test]
async fn frontend_dir_brings_style_sheets_and_images() {
    let dir = folder(&[
        ("themes/light/styles.css", "body { color: red }"),
        ("themes/light/logo.png", "PNG"),
        ("themes/light/img/deep.svg", "<svg/>"),
        ("themes/corporate/styles.css", "body { color: blue }"),
        ("static/main.css", "p {}"),
        ("static/obol.css", "never"),
        ("static/.secret", "hidden"),
        ("secret.txt", "hidden"),
        ("robots.txt", "User-agent: none\n"),
    ]);
    let site = Site::with(&config(dir.path(), "")).await;
    let body = site.get("/dex").await.body;
    assert!(body.contains(r#"<link rel="stylesheet" href="/dex/theme/styles.css">"#), "{body}");
    assert!(body.contains(r#"src="/dex/theme/logo.png""#), "{body}");
    for (path, kind, content) in [
        ("/dex/theme/styles.css", "text/css; charset=utf-8", "body { color: red }"),
        ("/dex/theme/logo.png", "image/png", "PNG"),
        ("/dex/theme/img/deep.svg", "image/svg+xml", "<svg/>"),
        ("/dex/static/main.css", "text/css; charset=utf-8", "p {}"),
        ("/dex/robots.txt", "text/plain; charset=utf-8", "User-agent: none\n"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type"), &*answer.body),
            (200, kind, content)
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert!(site.get("/dex/static/obol.css").await.body.contains("--ground"));
    let corporate = Site::with(&config(dir.path(), ", theme: corporate")).await;
    assert!(corporate.get("/dex/theme/styles.css").await.body.contains("blue"));
    assert!(
        faults(&format!("{{dir: '{}', theme: absent}}", dir.path().display())).0.contains("themes/absent")
    );
    assert!(faults("{dir: /nowhere/at/all}").0.contains("is no folder"));
}

/// Dex lists folders; here a path is one of those that were found, or nothing.
#[tokio::test]
async fn dex_l13_no_folder_is_listed_and_nothing_beside_it_read() {
    let dir = folder(&[("themes/light/styles.css", "x"), ("static/a/b.css", "x"), ("secret.txt", "hidden")]);
    let site = Site::with(&config(dir.path(), "")).await;
    for path in [
        "/dex/theme",
        "/dex/theme/",
        "/dex/static/",
        "/dex/static/a",
        "/dex/static/a/",
        "/dex/static/../secret.txt",
        "/dex/static/%2e%2e/secret.txt",
        "/dex/static/..%2fsecret.txt",
        "/dex/theme/../../secret.txt",
        "/dex/secret.txt",
        "/dex/templates/",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("hidden") && !answer.body.contains("styles.css"), "{path}");
    }
}

/// Names are looked up, never read as patterns of routes.
#[tokio::test]
async fn attack_21_a_file_may_be_called_anything() {
    let names = [
        ("a{b}.css", "a%7Bb%7D.css"),
        ("{*all}.css", "%7B*all%7D.css"),
        ("{x}", "%7Bx%7D"),
        ("{", "%7B"),
        ("}}.css", "%7D%7D.css"),
        ("{x}{y}.css", "%7Bx%7D%7By%7D.css"),
        (":id.css", ":id.css"),
        ("*", "*"),
        ("100%.css", "100%25.css"),
        ("two words.css", "two%20words.css"),
        ("\u{e9}.css", "%C3%A9.css"),
        ("deep/{*all}/x.css", "deep/%7B*all%7D/x.css"),
    ];
    let files: Vec<_> = names
        .iter()
        .flat_map(|(name, _)| ["static", "themes/light"].map(|at| format!("{at}/{name}")))
        .collect();
    let dir = folder(&files.iter().map(|file| (file.as_str(), "of the theme")).collect::<Vec<_>>());
    let site = Site::with(&config(dir.path(), "")).await;
    for (name, spelled) in names {
        for at in ["static", "theme"] {
            let answer = site.get(&format!("/dex/{at}/{spelled}")).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, "of the theme"), "{at}/{name}");
        }
    }
    for other in ["ax.css", "all.css", "x", "anything/at/all", "deep/x/x.css", "%FF"] {
        assert_ne!(site.get(&format!("/dex/theme/{other}")).await.status, 200, "{other}");
    }
    assert!(site.get("/dex/static/obol.css").await.body.contains("--ground"), "ours stand before them");
}

#[tokio::test]
async fn frontend_logo_url_is_shown_and_allowed() {
    for (url, shown, allowed) in [
        ("theme/logo.png", "/dex/theme/logo.png", "img-src 'self';"),
        (
            "https://cdn.example/logo.svg?x=1",
            "https://cdn.example/logo.svg?x=1",
            "img-src 'self' https://cdn.example;",
        ),
    ] {
        let site = Site::with(&format!("{CONFIG}frontend: {{logoURL: '{url}'}}\n")).await;
        let page = site.get("/dex").await;
        assert!(page.body.contains(&format!("src=\"{shown}\"")), "{}", page.body);
        let policy = page.header("content-security-policy");
        assert!(policy.contains(allowed) && policy.contains("default-src 'none'"), "{policy}");
    }
    assert!(!Site::with(CONFIG).await.get("/dex").await.body.contains("<img"));
}

#[tokio::test]
async fn frontend_extra_reaches_templates_of_ones_own() {
    let dir = folder(&[
        ("templates/error.jinja", "<p>{{ extra.help }}: {{ told }} {{ t.failed }} {{ extra.missing }}</p>"),
        ("templates/base.jinja", "<title>{{ title }}</title>{% block content %}{% endblock %}"),
    ]);
    let site = Site::with(&config(dir.path(), ", extra: {help: 'Ask <us>'}")).await;
    let page = password_error(&site).await;
    assert!(
        page.body.contains("<p>Ask &lt;us&gt;: The application is not registered here. This did not work ")
    );
    assert!(
        site.get("/dex").await.body.starts_with("<title>Obol</title>"),
        "the others stand on the same base"
    );
    for (name, source, told) in [
        ("error", "{% if %}", "mend its templates"),
        ("erorr", "x", "\"erorr.jinja\" is none of our templates"),
    ] {
        let dir = folder(&[(&format!("templates/{name}.jinja"), source)]);
        let (errors, _) = faults(&format!("{{dir: '{}'}}", dir.path().display()));
        assert!(errors.contains(told), "{errors}");
    }
}

/// They are Go's, and cannot run.
#[tokio::test]
async fn templates_of_dex_are_told_of_and_left_alone() {
    let dir = folder(&[
        ("templates/login.html", "{{ template \"header.html\" . }}"),
        ("themes/light/styles.css", "x"),
    ]);
    let (errors, all) = faults(&format!("{{dir: '{}'}}", dir.path().display()));
    assert!(errors.is_empty() && all.contains("Go templates"), "{errors} {all}");
    let site = Site::with(&config(dir.path(), "")).await;
    let choose = site.get(&format!("/dex/auth/up?{}", authorization("app", "openid"))).await;
    assert_eq!(choose.status, 303);
    assert!(site.get("/dex").await.body.contains("/dex/theme/styles.css"));
}

#[tokio::test]
async fn pages_speak_the_browsers_language_and_name_the_request() {
    let site = Site::with(CONFIG).await;
    let page =
        site.ask("GET", "/dex/auth?client_id=nobody", &[("accept-language", "de-CH, en;q=0.8")], "").await;
    assert!(page.body.contains(r#"<html lang="de""#) && page.body.contains("ist hier nicht eingetragen"));
    assert!(page.body.contains(&format!("Anfrage {}", page.header("x-request-id"))), "{}", page.body);
}
