//! The exec credential protocol between kubectl (client-go) and a plugin: what `KUBERNETES_EXEC_INFO` holds and what
//! the plugin prints (client.authentication.k8s.io).

use serde::Serialize;

use crate::json::{Object, Value};

/// What client-go tells the plugin. Unknown members are left to newer versions of Kubernetes.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecInfo {
    /// The version that the answer must have.
    pub version: Version,
    /// Whether the plugin may use standard input.
    pub interactive: bool,
    /// Where the credential will be used; only with `provideClusterInfo: true`.
    pub cluster: Option<Cluster>,
}

/// The versions that kubectl speaks. `v1alpha1` is gone since Kubernetes 1.24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `client.authentication.k8s.io/v1`
    V1,
    /// `client.authentication.k8s.io/v1beta1`
    V1Beta1,
}

/// The cluster that is going to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The API server's URL.
    pub server: String,
    /// The extension `client.authentication.k8s.io/exec` of the kubeconfig's cluster entry, whatever it is.
    pub config: Option<Value>,
}

/// Why `KUBERNETES_EXEC_INFO` cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExecInfo {
    /// Longer than [`MAX_EXEC_INFO`].
    #[error("KUBERNETES_EXEC_INFO is longer than {MAX_EXEC_INFO} bytes")]
    TooLong,
    /// Not a JSON object.
    #[error("KUBERNETES_EXEC_INFO is not JSON with one meaning: {0}")]
    Json(String),
    /// Another kind of object.
    #[error("KUBERNETES_EXEC_INFO has the kind {0:?}; expected \"ExecCredential\"")]
    Kind(String),
    /// A version that is not spoken here.
    #[error(
        "KUBERNETES_EXEC_INFO asks for apiVersion {0:?}; write client.authentication.k8s.io/v1 (or v1beta1) into the \
         kubeconfig's exec section"
    )]
    Version(String),
    /// A member of another type than the protocol says.
    #[error("KUBERNETES_EXEC_INFO: {0} must be {1}")]
    Type(&'static str, &'static str),
}

impl ExecInfo {
    /// Reads the variable's text.
    ///
    /// # Errors
    /// [`BadExecInfo`]; see there.
    pub fn parse(text: &str) -> Result<Self, BadExecInfo> {
        if text.len() > MAX_EXEC_INFO {
            return Err(BadExecInfo::TooLong);
        }
        let document = Object::parse(text.as_bytes()).map_err(|e| BadExecInfo::Json(e.to_string()))?;
        let word = |name: &str| document.str(name).unwrap_or_default().chars().take(80).collect::<String>();
        if document.str("kind") != Some("ExecCredential") {
            return Err(BadExecInfo::Kind(word("kind")));
        }
        let version = document.str("apiVersion").and_then(Version::parse);
        let version = version.ok_or_else(|| BadExecInfo::Version(word("apiVersion")))?;
        let spec = object(document.get("spec"), "spec")?;
        let interactive = match spec.and_then(|spec| spec.get("interactive")) {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().ok_or(BadExecInfo::Type("spec.interactive", "a boolean"))?,
        };
        let cluster = object(spec.and_then(|spec| spec.get("cluster")), "spec.cluster")?;
        Ok(Self { version, interactive, cluster: cluster.map(Cluster::read).transpose()? })
    }
}

impl Cluster {
    fn read(from: &Object) -> Result<Self, BadExecInfo> {
        let server = match from.get("server") {
            None | Some(Value::Null) => "",
            Some(value) => value.as_str().ok_or(BadExecInfo::Type("spec.cluster.server", "a string"))?,
        };
        let config = from.get("config").filter(|config| **config != Value::Null);
        Ok(Self { server: server.to_owned(), config: config.cloned() })
    }
}

impl Version {
    /// As it is written in `apiVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "client.authentication.k8s.io/v1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::V1, Self::V1Beta1].into_iter().find(|version| version.as_str() == text)
    }
}

/// The answer: one line of JSON. `expiration` is RFC 3339; client-go keeps the token until then and asks again.
pub fn answer(version: Version, token: &str, expiration: Option<&str>) -> String {
    let answer = Answer {
        kind: "ExecCredential",
        api_version: version.as_str(),
        status: Status { expiration_timestamp: expiration, token },
    };
    serde_json::to_string(&answer).unwrap_or_default()
}

fn object<'a>(value: Option<&'a Value>, name: &'static str) -> Result<Option<&'a Object>, BadExecInfo> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_object().map(Some).ok_or(BadExecInfo::Type(name, "an object")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    kind: &'static str,
    api_version: &'static str,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<&'a str>,
    token: &'a str,
}

/// With CA bundles inside, real ones have some ten kilobytes.
pub const MAX_EXEC_INFO: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_client_go_writes() {
        let info = ExecInfo::parse(
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":"https://c.example","certificate-authority-data":"eA==","config":{"audience":"prod"}},"interactive":true},"status":{}}"#,
        )
        .unwrap();
        assert_eq!((info.version, info.interactive), (Version::V1, true));
        let cluster = info.cluster.unwrap();
        assert_eq!(cluster.server, "https://c.example");
        assert_eq!(cluster.config.unwrap().as_object().unwrap().str("audience"), Some("prod"));
        let bare = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"cluster":null}}"#;
        let bare = ExecInfo::parse(bare).unwrap();
        assert_eq!(bare, ExecInfo { version: Version::V1Beta1, interactive: false, cluster: None });
    }

    #[test]
    fn garbage_and_foreign_versions_are_named() {
        let start = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1""#;
        for (text, want) in [
            ("", "is not JSON"),
            ("{", "is not JSON"),
            ("[]", "expected an object"),
            ("{}", "the kind \"\""),
            (r#"{"kind":"Pod"}"#, "the kind \"Pod\""),
            (r#"{"kind":"ExecCredential"}"#, "apiVersion \"\""),
            (r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1"}"#, "v1alpha1"),
            (&format!("{start},\"spec\":[]}}"), "spec must be an object"),
            (
                &format!("{start},\"spec\":{{\"interactive\":\"yes\"}}}}"),
                "spec.interactive must be a boolean",
            ),
            (&format!("{start},\"spec\":{{\"cluster\":7}}}}"), "spec.cluster must be an object"),
            (&format!("{start},\"kind\":\"ExecCredential\"}}"), "is not JSON"),
        ] {
            let told = ExecInfo::parse(text).unwrap_err().to_string();
            assert!(told.contains(want), "{text}: {told}");
        }
        assert_eq!(ExecInfo::parse(&" ".repeat(MAX_EXEC_INFO + 1)), Err(BadExecInfo::TooLong));
    }

    #[test]
    fn answers_in_the_version_that_was_asked_for() {
        assert_eq!(
            answer(Version::V1, "t", Some("2026-01-02T03:04:05Z")),
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"expirationTimestamp":"2026-01-02T03:04:05Z","token":"t"}}"#
        );
        assert!(answer(Version::V1Beta1, "t", None).ends_with(r#"v1beta1","status":{"token":"t"}}"#));
    }
}
