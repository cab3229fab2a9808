//! An event (`audit.k8s.io/v1`), and how it is written: as JSON in the API server's member order, or as its old line of text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ambient::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::policy::{Level, Stage};
use super::request_info::RequestInfo;
use crate::identity::KubeUser;

/// What is recorded of a request at one stage.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    kind: &'static str,
    api_version: &'static str,
    #[serde(serialize_with = "level")]
    pub(super) level: Level,
    #[serde(rename = "auditID")]
    pub(super) id: String,
    #[serde(serialize_with = "stage")]
    pub(super) stage: Stage,
    #[serde(rename = "requestURI")]
    pub(super) uri: String,
    pub(super) verb: String,
    pub(super) user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impersonated_user: Option<User>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_ref: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_object: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_object: Option<Box<RawValue>>,
    #[serde(rename = "requestReceivedTimestamp", serialize_with = "micro_time")]
    pub(super) received: Time,
    #[serde(rename = "stageTimestamp", serialize_with = "micro_time")]
    pub(super) at: Time,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

/// A user, as `authentication.k8s.io/v1` writes one.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct User {
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
}

/// What a request is about.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) subresource: String,
}

/// What became of a request: of a Kubernetes `Status` what is bounded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Status {
    #[serde(skip_deserializing)]
    pub(super) metadata: Nothing,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) code: u16,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Nothing {}

impl Event {
    /// The first of a request.
    pub(super) fn new(id: String, uri: String, info: &RequestInfo, received: Time) -> Self {
        Self {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: Level::None,
            id,
            stage: Stage::RequestReceived,
            uri,
            verb: info.verb.clone(),
            user: User::default(),
            impersonated_user: None,
            sources: Vec::new(),
            user_agent: String::new(),
            object_ref: info.is_resource.then(|| ObjectRef::of(info)),
            response_status: None,
            request_object: None,
            response_object: None,
            received,
            at: received,
            annotations: BTreeMap::new(),
        }
    }

    /// As a line of JSON.
    pub(super) fn json(&self) -> Bytes {
        // Texts, numbers and values that were JSON before: there is nothing that JSON could not hold.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }

    /// As the line of text that API servers wrote before there was JSON.
    pub(super) fn legacy(&self) -> Bytes {
        let none = || "<none>".to_owned();
        let list = |groups: &[String]| groups.iter().map(|group| quoted(group)).collect::<Vec<_>>().join(",");
        let (user, groups) = match (&*self.user.username, &self.user.groups[..]) {
            ("", _) => (none(), none()),
            (name, []) => (name.to_owned(), none()),
            (name, groups) => (name.to_owned(), list(groups)),
        };
        let (as_user, as_groups) = match &self.impersonated_user {
            None => ("<self>".to_owned(), "<lookup>".to_owned()),
            Some(user) if user.groups.is_empty() => (user.username.clone(), "<lookup>".to_owned()),
            Some(user) => (user.username.clone(), list(&user.groups)),
        };
        let namespace = self.object_ref.as_ref().map(|object| &*object.namespace);
        let response =
            self.response_status.as_ref().map_or("<deferred>".into(), |status| status.code.to_string());
        let mut line = format!("{} AUDIT:", nano_time(self.received));
        for (name, value) in [
            ("id", &*self.id),
            ("stage", self.stage.word()),
            ("ip", self.sources.first().map_or("<unknown>", String::as_str)),
            ("method", &self.verb),
            ("user", &user),
            ("groups", &groups),
            ("as", &as_user),
            ("asgroups", &as_groups),
            ("user-agent", &self.user_agent),
            ("namespace", namespace.filter(|namespace| !namespace.is_empty()).unwrap_or("<none>")),
            ("uri", &self.uri),
            ("response", &response),
        ] {
            let _ = write!(line, " {name}={}", quoted(value));
        }
        line.push('\n');
        line.into()
    }

    /// Without the objects, which may make an event too large.
    pub(super) fn without_objects(&self) -> Self {
        let mut bare = Self { request_object: None, response_object: None, ..self.clone() };
        bare.annotations.insert(TRUNCATED, "true".to_owned());
        bare
    }
}

impl User {
    /// A user, in these groups too, since the API server puts everybody in them.
    pub(super) fn of(user: &KubeUser, groups: Vec<String>) -> Self {
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, values) in &user.extra {
            extra.entry(key.clone()).or_default().extend(values.iter().cloned());
        }
        Self { username: user.name.clone(), uid: user.uid.clone(), groups, extra }
    }
}

impl ObjectRef {
    fn of(info: &RequestInfo) -> Self {
        let RequestInfo { resource, namespace, name, api_group, api_version, subresource, .. } = info.clone();
        Self { resource, namespace, name, api_group, api_version, subresource, ..Self::default() }
    }
}

/// The head of an event in JSON, which the items of a list do without.
pub(super) const HEAD: &[u8] = br#""kind":"Event","apiVersion":"audit.k8s.io/v1","#;

/// Says that something was left out for its size.
pub(super) const TRUNCATED: &str = "audit.k8s.io/truncated";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn level<S: Serializer>(level: &Level, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(level.word())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn stage<S: Serializer>(stage: &Stage, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(stage.word())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn micro_time<S: Serializer>(at: &Time, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{}.{:06}Z", seconds(*at), at.millis().rem_euclid(1000) * 1000))
}

/// RFC 3339 as Go's `RFC3339Nano` has it: no zeros at the end.
fn nano_time(at: Time) -> String {
    match at.millis().rem_euclid(1000) {
        0 => format!("{}Z", seconds(at)),
        millis => format!("{}.{}Z", seconds(at), format!("{millis:03}").trim_end_matches('0')),
    }
}

fn seconds(at: Time) -> String {
    at.rfc3339().trim_end_matches('Z').to_owned()
}

/// As Go's `%q` quotes: whatever is not printed stands as an escape, so that a line stays one.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\'' => out.push(c),
            c if c.escape_debug().len() == 1 => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Event {
        let info = RequestInfo::read("GET", "/api/v1/namespaces/a/pods/p", "");
        let mut event =
            Event::new("id-1".into(), "/api/v1/namespaces/a/pods/p".into(), &info, Time::from_millis(1_500));
        event.level = Level::Metadata;
        let user = KubeUser {
            name: "jane\n".into(),
            extra: vec![("k".into(), vec!["v".into()])],
            ..KubeUser::default()
        };
        event.user = User::of(&user, vec!["g".into(), "system:authenticated".into()]);
        event.sources = vec!["192.0.2.1".into()];
        event.response_status = Some(Status { code: 200, ..Status::default() });
        event
    }

    #[test]
    fn an_event_has_the_api_servers_members_in_its_order() {
        let line = String::from_utf8(event().json().to_vec()).unwrap();
        let expected = concat!(
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id-1","#,
            r#""stage":"RequestReceived","requestURI":"/api/v1/namespaces/a/pods/p","verb":"get","#,
            r#""user":{"username":"jane\n","groups":["g","system:authenticated"],"extra":{"k":["v"]}},"#,
            r#""sourceIPs":["192.0.2.1"],"#,
            r#""objectRef":{"resource":"pods","namespace":"a","name":"p","apiVersion":"v1"},"#,
            r#""responseStatus":{"metadata":{},"code":200},"#,
            r#""requestReceivedTimestamp":"1970-01-01T00:00:01.500000Z","#,
            r#""stageTimestamp":"1970-01-01T00:00:01.500000Z"}"#,
            "\n"
        );
        assert_eq!(line, expected);
        assert!(line.as_bytes().get(1..).unwrap().starts_with(HEAD));
    }

    #[test]
    fn attack_26_the_line_of_text_is_one_line_whatever_the_name() {
        let line = String::from_utf8(event().legacy().to_vec()).unwrap();
        let expected = concat!(
            r#"1970-01-01T00:00:01.5Z AUDIT: id="id-1" stage="RequestReceived" ip="192.0.2.1" method="get" "#,
            r#"user="jane\n" groups="\"g\",\"system:authenticated\"" as="<self>" asgroups="<lookup>" user-agent="" "#,
            r#"namespace="a" uri="/api/v1/namespaces/a/pods/p" response="200""#,
            "\n"
        );
        assert_eq!(line, expected);
        assert_eq!(quoted("\u{1b}[31m\u{200b}é'\u{e0001}"), r#""\x1b[31m\u200bé'\U000e0001""#);
    }

    #[test]
    fn without_its_objects_it_says_so() {
        let mut event = event();
        event.request_object = RawValue::from_string("{\"a\":1}".into()).ok();
        let bare: Value = serde_json::from_slice(&event.without_objects().json()).unwrap();
        assert_eq!(bare["annotations"], json!({"audit.k8s.io/truncated": "true"}));
        assert!(bare.get("requestObject").is_none());
    }
}
