//! Settings that stand beside a cluster in a kubeconfig (`clusters[].cluster.extensions[]`, name
//! `client.authentication.k8s.io/exec`), so that one user entry serves many clusters. Secrets have no place there.

use wire::json::{Object, Value};

/// What a cluster entry says; what is absent is left to the flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// `issuer`
    pub issuer: Option<String>,
    /// `tokenEndpoint`
    pub token_endpoint: Option<String>,
    /// `clientID`
    pub client_id: Option<String>,
    /// `connectorID`
    pub connector_id: Option<String>,
    /// `audience`: a string or a list
    pub audience: Vec<String>,
    /// `resource`: a string or a list
    pub resource: Vec<String>,
    /// `scope`: a string or a list
    pub scope: Vec<String>,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClusterConfig {
    /// Not an object.
    #[error("the cluster's exec extension must be an object, not {0}")]
    NotObject(&'static str),
    /// A name that means nothing here.
    #[error("the cluster's exec extension has {0:?}, which is none of: {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// A secret in a file that people pass around.
    #[error(
        "the cluster's exec extension holds {0:?}: a secret has no place there; use OBOL_CLIENT_SECRET or file:"
    )]
    Secret(String),
    /// A value of another type.
    #[error("{0:?} in the cluster's exec extension must be {1}")]
    Type(String, &'static str),
}

impl ClusterConfig {
    /// Reads `spec.cluster.config`.
    ///
    /// # Errors
    /// [`BadClusterConfig`]; see there.
    pub fn read(config: &Value) -> Result<Self, BadClusterConfig> {
        let object = config.as_object().ok_or_else(|| BadClusterConfig::NotObject(config.kind()))?;
        if let Some((name, _)) = object.iter().find(|(name, _)| !KNOWN.contains(name)) {
            let folded = name.to_ascii_lowercase();
            let secret = ["secret", "token", "password"].iter().any(|word| folded.contains(word));
            let name = name.chars().take(80).collect();
            return Err(if secret {
                BadClusterConfig::Secret(name)
            } else {
                BadClusterConfig::Unknown(name)
            });
        }
        Ok(Self {
            issuer: one(object, "issuer")?,
            token_endpoint: one(object, "tokenEndpoint")?,
            client_id: one(object, "clientID")?,
            connector_id: one(object, "connectorID")?,
            audience: many(object, "audience")?,
            resource: many(object, "resource")?,
            scope: many(object, "scope")?,
        })
    }
}

fn one(object: &Object, name: &str) -> Result<Option<String>, BadClusterConfig> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(BadClusterConfig::Type(name.to_owned(), "a string that is not empty")),
    }
}

fn many(object: &Object, name: &str) -> Result<Vec<String>, BadClusterConfig> {
    let Some(Value::List(list)) = object.get(name) else {
        return Ok(one(object, name)?.into_iter().collect());
    };
    let texts = list.iter().map(|item| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| BadClusterConfig::Type(name.to_owned(), "a string or a list of strings, none empty"))
}

const KNOWN: [&str; 7] =
    ["issuer", "tokenEndpoint", "clientID", "connectorID", "audience", "resource", "scope"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ClusterConfig, BadClusterConfig> {
        ClusterConfig::read(&Value::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn reads_one_or_many_and_names_what_is_wrong() {
        let config =
            read(r#"{"audience":"prod","scope":["openid","groups"],"issuer":"https://o.example"}"#).unwrap();
        assert_eq!(config.audience, ["prod"]);
        assert_eq!(config.scope, ["openid", "groups"]);
        assert_eq!(config.issuer.as_deref(), Some("https://o.example"));
        assert_eq!(read("{}").unwrap(), ClusterConfig::default());
        for (bad, want) in [
            ("[]", "not array"),
            (r#"{"audiences":["a"]}"#, "\"audiences\", which is none of: issuer"),
            (r#"{"clientSecret":"hunter2"}"#, "a secret has no place there"),
            (r#"{"issuer":7}"#, "\"issuer\""),
            (r#"{"audience":["a",""]}"#, "list of strings"),
        ] {
            let told = read(bad).unwrap_err().to_string();
            assert!(told.contains(want) && !told.contains("hunter2"), "{told}");
        }
    }
}
