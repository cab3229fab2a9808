//! The API server's reviews: whose a token is, and what somebody may do.

use ambient::FetchError;
use http::StatusCode;
use outbound::{Client, Request};
use serde_json::{Value, json};
use url::Url;

/// Asks for reviews with our own credential.
#[derive(Clone)]
pub struct Reviews {
    client: Client,
    server: Url,
}

/// What the API server says of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The user name.
    pub name: String,
    /// The UID; may be empty.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Extra fields.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Something that somebody may do or not, in RBAC's words. What is empty does not restrict the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// Behind the resource's slash.
    pub subresource: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The name of the one object.
    pub name: &'a str,
}

/// There is no review; the API server's fault, or that of our rights.
#[derive(Debug, thiserror::Error)]
pub enum NoReview {
    /// It cannot be reached.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It refuses; our account may not ask, perhaps.
    #[error("the API server answers a review with {0}: {1}")]
    Refused(StatusCode, String),
    /// Its answer is none.
    #[error("the API server's review is malformed")]
    Malformed,
}

impl Reviews {
    /// Asks the API server at `server`, perhaps below a path, by `client`, which has our credential.
    pub const fn new(client: Client, server: Url) -> Self {
        Self { client, server }
    }

    /// Whose token this is (`TokenReview`). `None`: nobody's, or not meant for any of `audiences`. An API server that does not
    /// look at audiences says none back, and its yes counts for nothing then.
    ///
    /// # Errors
    /// [`NoReview`]: nobody can say.
    pub async fn token(&self, token: &str, audiences: &[String]) -> Result<Option<Subject>, NoReview> {
        let spec = match audiences {
            [] => json!({"token": token}),
            audiences => json!({"token": token, "audiences": audiences}),
        };
        let status = self.ask("authentication.k8s.io", "TokenReview", "tokenreviews", spec).await?;
        let error = status.pointer("/error").and_then(Value::as_str).unwrap_or_default();
        let meant = audiences.is_empty()
            || strings(status.get("audiences")).iter().any(|audience| audiences.contains(audience));
        let is_good = status.get("authenticated") == Some(&Value::Bool(true)) && error.is_empty();
        let subject = subject(&status, "/user");
        Ok((is_good && meant && !subject.name.is_empty()).then_some(subject))
    }

    /// Whether our own account may (`SelfSubjectAccessReview`).
    ///
    /// # Errors
    /// [`NoReview`]: nobody can say.
    pub async fn may_we(&self, access: Access<'_>) -> Result<bool, NoReview> {
        let spec = json!({"resourceAttributes": attributes(access)});
        let (kind, resource) = ("SelfSubjectAccessReview", "selfsubjectaccessreviews");
        Ok(is_allowed(&self.ask("authorization.k8s.io", kind, resource, spec).await?))
    }

    /// Whether somebody else may (`SubjectAccessReview`).
    ///
    /// # Errors
    /// [`NoReview`]: nobody can say.
    pub async fn may(&self, who: &Subject, access: Access<'_>) -> Result<bool, NoReview> {
        let extra: serde_json::Map<_, _> =
            who.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
        let spec = json!({"resourceAttributes": attributes(access), "user": who.name, "uid": who.uid,
            "groups": who.groups, "extra": extra});
        let (kind, resource) = ("SubjectAccessReview", "subjectaccessreviews");
        Ok(is_allowed(&self.ask("authorization.k8s.io", kind, resource, spec).await?))
    }

    /// Who we are there (`SelfSubjectReview`): by whichever version of it the API server knows, and from 1.26 on it knows
    /// one. `None` before that.
    ///
    /// # Errors
    /// [`NoReview`]: nobody can say.
    pub async fn ourselves(&self) -> Result<Option<Subject>, NoReview> {
        for version in ["v1", "v1beta1", "v1alpha1"] {
            let (group, kind) = ("authentication.k8s.io", "SelfSubjectReview");
            match self.ask_as(group, version, kind, "selfsubjectreviews", None).await {
                Ok(status) => return Ok(Some(subject(&status, "/userInfo"))),
                // Where it is not known, nobody was allowed to ask either.
                Err(NoReview::Refused(StatusCode::NOT_FOUND | StatusCode::FORBIDDEN, _)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }

    /// The name that an API server's refusal calls us by, for those too old to be asked. `None` if we may do everything:
    /// then it refuses nothing.
    ///
    /// # Errors
    /// [`NoReview`]: nobody can say.
    pub async fn name_of_refusal(&self) -> Result<Option<String>, NoReview> {
        let base = self.server.as_str().trim_end_matches('/');
        // No API is there, so nothing happens where it is allowed.
        let url = Url::parse(&format!("{base}/obol-asks-for-its-name")).map_err(|_| NoReview::Malformed)?;
        let answer = self.client.send(Request::get(&url)).await?;
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = document.get("message").and_then(Value::as_str).unwrap_or_default();
        match answer.status {
            StatusCode::FORBIDDEN => {
                let quoted = message.split("User \"").nth(1).and_then(|rest| rest.split("\" cannot").next());
                quoted.map(|name| Some(name.to_owned())).ok_or(NoReview::Malformed)
            }
            StatusCode::UNAUTHORIZED => {
                Err(NoReview::Refused(answer.status, message.chars().take(300).collect()))
            }
            _ => Ok(None),
        }
    }

    /// The `status` of a review.
    async fn ask(&self, group: &str, kind: &str, resource: &str, spec: Value) -> Result<Value, NoReview> {
        self.ask_as(group, "v1", kind, resource, Some(spec)).await
    }

    async fn ask_as(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        resource: &str,
        spec: Option<Value>,
    ) -> Result<Value, NoReview> {
        let base = self.server.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/apis/{group}/{version}/{resource}"))
            .map_err(|_| NoReview::Malformed)?;
        let mut review = json!({"apiVersion": format!("{group}/{version}"), "kind": kind});
        if let (Some(spec), Some(review)) = (spec, review.as_object_mut()) {
            review.insert("spec".to_owned(), spec);
        }
        let answer = self.client.send(Request::json(&url, review.to_string())).await?;
        let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
        if !answer.status.is_success() {
            let message =
                document.as_ref().and_then(|status| status.get("message")?.as_str()).unwrap_or_default();
            return Err(NoReview::Refused(answer.status, message.chars().take(300).collect()));
        }
        let mut document = document.ok_or(NoReview::Malformed)?;
        let same = document.get("kind").and_then(Value::as_str) == Some(kind);
        let status = document.get_mut("status").map(Value::take);
        status.filter(|status| same && status.is_object()).ok_or(NoReview::Malformed)
    }
}

/// The `UserInfo` at a place of a review's status.
fn subject(status: &Value, at: &str) -> Subject {
    let info = status.pointer(at);
    let text = |name: &str| info.and_then(|info| info.get(name)?.as_str()).unwrap_or_default().to_owned();
    let extra = info.and_then(|info| info.get("extra")?.as_object());
    let extra = extra.into_iter().flatten().map(|(key, values)| (key.clone(), strings(Some(values))));
    Subject {
        name: text("username"),
        uid: text("uid"),
        groups: strings(info.and_then(|info| info.get("groups"))),
        extra: extra.collect(),
    }
}

/// Denial counts before allowance, and neither is no allowance.
fn is_allowed(status: &Value) -> bool {
    status.get("allowed") == Some(&Value::Bool(true)) && status.get("denied") != Some(&Value::Bool(true))
}

fn attributes(access: Access<'_>) -> Value {
    let Access { verb, group, resource, subresource, namespace, name } = access;
    let all = [
        ("verb", verb),
        ("group", group),
        ("resource", resource),
        ("subresource", subresource),
        ("namespace", namespace),
        ("name", name),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, json!(text))).collect()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
