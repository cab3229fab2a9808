//! What is written: a cluster, a user who signs in by `obol get-token`, and the context of both.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use client::{BadKubeconfig, Kubeconfig, List, edit_kubeconfig};
use serde_json::{Value, json};

use crate::cli::Usage;
use crate::commands::get_token;
use crate::door::Door;
use crate::kubeconfigs::Kubeconfigs;

/// The flags that say what is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Entry {
    /// The API server; needed for a cluster that is not there yet
    #[arg(long, value_name = "URL", help_heading = "Cluster")]
    server: Option<String>,
    /// The CA of the API server: a PEM file, which is copied into the kubeconfig
    #[arg(long, value_name = "FILE", requires = "server", help_heading = "Cluster")]
    cluster_ca: Option<PathBuf>,
    /// The cluster's name [default: the context's]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    cluster: Option<String>,
    /// The namespace of the context
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    namespace: Option<String>,
    /// The user's name [default: the context's]
    #[arg(long, value_name = "NAME", help_heading = "User")]
    user: Option<String>,
    /// Who signs people in
    #[arg(long, value_name = "URL", visible_alias = "oidc-issuer-url", help_heading = "User")]
    issuer: Option<String>,
    /// As which client
    #[arg(long, value_name = "ID", visible_alias = "oidc-client-id", help_heading = "User")]
    client_id: Option<String>,
    /// Scopes beside openid (repeatable, or separated by commas)
    #[arg(
        long,
        value_name = "SCOPE",
        visible_alias = "oidc-extra-scope",
        value_delimiter = ',',
        help_heading = "User"
    )]
    extra_scope: Vec<String>,
    /// How, if not in a browser
    #[arg(long, value_name = "GRANT", help_heading = "User")]
    grant_type: Option<String>,
    /// The CA of the issuer: a PEM file, which must stay where it is
    #[arg(long, value_name = "FILE", help_heading = "User")]
    certificate_authority: Option<PathBuf>,
    /// Further flags of get-token
    #[arg(last = true, value_name = "FLAGS OF GET-TOKEN")]
    more: Vec<String>,
}

/// What is going to be written.
pub(crate) struct Made {
    context: String,
    entries: Vec<(List, String, Value)>,
    /// The command line of the plugin, without the program.
    pub(crate) arguments: Vec<String>,
}

/// A command line of the plugin, by itself.
#[derive(Debug, clap::Parser)]
#[command(name = "obol get-token")]
struct Plugin {
    #[command(flatten)]
    args: get_token::Args,
}

impl Entry {
    /// Whether there is anything to write.
    pub(crate) const fn is_given(&self) -> bool {
        self.issuer.is_some() || self.client_id.is_some() || self.server.is_some()
    }

    /// Makes the entries; what stands there already is the base of the cluster's and the context's.
    pub(crate) fn make(&self, name: &str, files: &Kubeconfigs, door: &Door) -> anyhow::Result<Made> {
        let arguments = self.arguments()?;
        let (cluster, user) = (self.cluster.as_deref().unwrap_or(name), self.user.as_deref().unwrap_or(name));
        let mut entries = Vec::new();
        match (&self.server, files.named(List::Clusters, cluster)) {
            (Some(server), before) => {
                let server =
                    url::Url::parse(server).map(|_| server).map_err(|e| Usage(format!("--server: {e}")))?;
                // How another server was trusted says nothing about this one.
                let before = before.map(|(_, body)| body);
                let same =
                    before.filter(|body| body.get("server").and_then(Value::as_str) == Some(server.as_str()));
                let body = with(same, [("server", json!(server))]);
                let body = match &self.cluster_ca {
                    None => body,
                    Some(path) => {
                        let pem =
                            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                        let data = json!(STANDARD.encode(pem));
                        with(
                            Some(&body),
                            [("certificate-authority-data", data), ("certificate-authority", Value::Null)],
                        )
                    }
                };
                entries.push((List::Clusters, cluster.to_owned(), body));
            }
            (None, Some(_)) => {}
            (None, None) => bail!(Usage(format!("there is no cluster {cluster:?} yet: give --server URL"))),
        }
        let exec = exec(&door.command(), &arguments);
        entries.push((List::Users, user.to_owned(), json!({ "exec": exec })));
        let before = files.named(List::Contexts, name).map(|(_, body)| body);
        let mut context = with(before, [("cluster", json!(cluster)), ("user", json!(user))]);
        if let Some(namespace) = &self.namespace {
            context = with(Some(&context), [("namespace", json!(namespace))]);
        }
        entries.push((List::Contexts, name.to_owned(), context));
        Ok(Made { context: name.to_owned(), entries, arguments })
    }

    /// The plugin's command line, which must be one.
    fn arguments(&self) -> anyhow::Result<Vec<String>> {
        let mut all = vec!["get-token".to_owned()];
        let mut add =
            |flag: &str, value: Option<&str>| all.extend(value.map(|value| format!("--{flag}={value}")));
        add("oidc-issuer-url", self.issuer.as_deref());
        add("oidc-client-id", self.client_id.as_deref());
        self.extra_scope.iter().for_each(|scope| add("oidc-extra-scope", Some(scope)));
        add("grant-type", self.grant_type.as_deref());
        if let Some(path) = &self.certificate_authority {
            let whole =
                std::path::absolute(path).with_context(|| format!("{} has no place", path.display()))?;
            ensure!(whole.exists(), "cannot read --certificate-authority {}", whole.display());
            add("certificate-authority", whole.to_str());
        }
        for name in ["OBOL_CLIENT_SECRET", "OBOL_PASSWORD"] {
            let flags = if name == "OBOL_PASSWORD" {
                &["--password"][..]
            } else {
                &["--client-secret", "--oidc-client-secret"]
            };
            let shown = |flag: &&str| {
                self.more.iter().enumerate().any(|(at, word)| {
                    let value = word.strip_prefix(*flag).and_then(|rest| rest.strip_prefix('='));
                    let value = value.or_else(|| {
                        (word == *flag).then(|| self.more.get(at + 1).map_or("", String::as_str))
                    });
                    value.is_some_and(|value| !value.starts_with("file:"))
                })
            };
            ensure!(
                !flags.iter().any(shown),
                Usage(format!(
                    "a secret has no place in a kubeconfig: set {name}, or name a file with file:PATH"
                ))
            );
        }
        all.extend(self.more.iter().cloned());
        // What stands in this shell's environment is not there when kubectl asks.
        let says = |flags: &[&str]| {
            let named = |word: &String| flags.contains(&word.split('=').next().unwrap_or_default());
            all.iter().any(named)
        };
        ensure!(
            says(&["--oidc-issuer-url", "--issuer", "--token-endpoint"]),
            Usage("--issuer is missing: who signs people in?".into())
        );
        plugin(&all)?;
        Ok(all)
    }
}

impl Made {
    /// Puts everything into one kubeconfig.
    pub(crate) fn write_all(&self, config: &mut Kubeconfig) -> Result<(), BadKubeconfig> {
        self.entries.iter().try_for_each(|(list, name, body)| config.put(*list, name, body))
    }

    /// Writes each entry where it stands, and says where that is.
    pub(crate) fn write(&self, files: &Kubeconfigs, switch: bool) -> anyhow::Result<String> {
        let place = |(list, name, _): &(List, String, Value)| files.place(*list, name).to_owned();
        let mut places = self.entries.iter().map(place).collect::<BTreeSet<_>>();
        if switch {
            places.insert(files.place_of_current().to_owned());
        }
        for path in &places {
            edit_kubeconfig(path, |config| {
                for entry in self.entries.iter().filter(|entry| place(entry) == *path) {
                    config.put(entry.0, &entry.1, &entry.2)?;
                }
                if switch && files.place_of_current() == path {
                    config.set_current(&self.context)
                } else {
                    Ok(())
                }
            })?;
        }
        Ok(places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))
    }
}

/// The plugin that a command line means.
pub(crate) fn plugin(arguments: &[String]) -> anyhow::Result<get_token::Args> {
    match Plugin::try_parse_from(arguments) {
        Ok(plugin) => Ok(plugin.args),
        Err(error) => bail!(Usage(format!("get-token would not take that: {}", error.render()))),
    }
}

/// The section of a user who signs in by us.
pub(crate) fn exec(program: &str, arguments: &[String]) -> Value {
    json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "args": arguments,
        "command": program,
        "installHint": "obol is needed to sign in to this cluster",
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": false,
    })
}

/// An entry with other members; null takes one away.
fn with<const N: usize>(base: Option<&Value>, members: [(&str, Value); N]) -> Value {
    let mut all = base.and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in members {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.to_owned(), value)),
        }
    }
    Value::Object(all)
}
