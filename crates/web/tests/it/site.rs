//! A provider with its routes, and what a caller sees of them.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use config::{Faults, KeyStyle};
use http_body_util::BodyExt as _;
use provider::connector::Opened;
use testkit::stage::{self, Stage, app};
use tower::ServiceExt as _;
use web::{Pages, Settings};

pub(crate) struct Site {
    pub(crate) stage: Stage,
    router: Router,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Site {
    /// [`stage::CONFIG`], which lives under `/dex`.
    pub(crate) async fn new() -> Self {
        Self::with(stage::CONFIG).await
    }

    pub(crate) async fn with(config: &str) -> Self {
        Self::on(Stage::with(config, |up| vec![up.opened("up", &[])]).await, config)
    }

    pub(crate) fn on(stage: Stage, config: &str) -> Self {
        let faults = Faults::new();
        let settings = Settings::read(
            &mut stage::section(config).fields(KeyStyle::Dex, &faults),
            web::Instead::default(),
        );
        assert!(!faults.has_errors(), "{faults}");
        let prefix = stage.provider.living().settings.issuer.path().to_owned();
        let pages = Pages::new(&settings.frontend, &prefix).unwrap();
        let router = web::router(std::sync::Arc::clone(&stage.provider), settings, pages);
        Self { stage, router }
    }

    pub(crate) fn reload(&self, config: &str) {
        let up: Vec<Opened> = vec![self.stage.upstream.opened("up", &[])];
        self.stage.reload(config, up);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        // The pages' engine writes slashes like this, which is the same to a browser.
        let body = String::from_utf8(body.to_vec()).unwrap().replace("&#x2f;", "/");
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Any method, with these headers.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.ask("POST", path, &[&[FORM], headers].concat(), body).await
    }

    /// The token endpoint, as `app`.
    pub(crate) async fn token(&self, body: &str) -> Answer {
        self.post("/dex/token", &[("authorization", &app())], body).await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The OAuth error.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        let code = self.json()["error"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), code)
    }
}

pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
