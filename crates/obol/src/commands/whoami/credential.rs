//! The credential that kubectl would show: written down, in a file, or made by a plugin that is run as client-go does.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ambient::Secret;
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outbound::Identity;
use serde_json::{Value, json};

use crate::kubeconfigs::Context;

/// What is shown to the API server.
pub(super) enum Shown {
    Token(Secret<String>),
    Certificate(Identity),
}

/// The credential of a context's user.
pub(super) fn of(context: &Context<'_>) -> anyhow::Result<Shown> {
    let (path, user) = context.user;
    let text = |key: &str| user.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    for key in ["as", "as-uid", "username", "auth-provider"] {
        ensure!(user.get(key).is_none(), "the user has {key}, which whoami does not know");
    }
    if let Some(file) = text("tokenFile") {
        let place = folder(path).join(file);
        let token =
            std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
        return Ok(Shown::Token(Secret::from(token.trim())));
    }
    if let Some(token) = text("token") {
        return Ok(Shown::Token(Secret::from(token)));
    }
    if let (Some(chain_pem), Some(key)) =
        (bytes(path, user, "client-certificate")?, bytes(path, user, "client-key")?)
    {
        return Ok(Shown::Certificate(Identity { chain_pem, key_pem: Secret::new(key) }));
    }
    let exec = user.get("exec").filter(|exec| exec.is_object());
    run(path, exec.context("the user has no token, no certificate and no plugin")?, context.cluster.1)
}

/// What stands in `<key>-data`, or in the file that `<key>` names.
pub(super) fn bytes(path: &Path, of: &Value, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let text = |key: &str| of.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(data) = text(&format!("{key}-data")) {
        return STANDARD.decode(data).map(Some).with_context(|| format!("{key}-data is not base64"));
    }
    let read = |file: &str| {
        let place = folder(path).join(file);
        std::fs::read(&place).with_context(|| format!("cannot read {}", place.display()))
    };
    text(key).map(read).transpose()
}

/// Runs a plugin. Its words go to the terminal, its credential comes here.
fn run(path: &Path, exec: &Value, cluster: &Value) -> anyhow::Result<Shown> {
    let text = |key: &str| exec.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let program = text("command").context("the plugin has no command")?;
    let version = text("apiVersion").context("the plugin has no apiVersion")?;
    // As client-go: a name is looked for, a path is relative to the kubeconfig.
    let place = if program.contains('/') { folder(path).join(program) } else { program.into() };
    let interactive = std::io::stdin().is_terminal() && text("interactiveMode") != Some("Never");
    let mut spec = json!({"interactive": interactive});
    if exec.get("provideClusterInfo") == Some(&Value::Bool(true)) {
        spec = json!({"interactive": interactive, "cluster": {"server": cluster.get("server"), "config": config(cluster)}});
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": version, "spec": spec});
    let mut command = Command::new(&place);
    command.args(words(exec, "args")).env("KUBERNETES_EXEC_INFO", info.to_string());
    for pair in exec.get("env").and_then(Value::as_array).into_iter().flatten() {
        if let (Some(name), Some(value)) =
            (pair.get("name").and_then(Value::as_str), pair.get("value").and_then(Value::as_str))
        {
            command.env(name, value);
        }
    }
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() }).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot run the plugin {program}"))?;
    ensure!(output.status.success(), "the plugin {program} ended with {}", output.status);
    let answer: Value = serde_json::from_slice(&output.stdout).context("the plugin's answer is not JSON")?;
    let status = |key: &str| answer.pointer(&format!("/status/{key}")).and_then(Value::as_str);
    match (status("token"), status("clientCertificateData"), status("clientKeyData")) {
        (Some(token), ..) if !token.is_empty() => Ok(Shown::Token(Secret::from(token))),
        (_, Some(chain), Some(key)) if !chain.is_empty() => Ok(Shown::Certificate(Identity {
            chain_pem: chain.as_bytes().to_vec(),
            key_pem: Secret::new(key.as_bytes().to_vec()),
        })),
        _ => bail!("the plugin {program} answered without a credential"),
    }
}

/// What the cluster's entry says to plugins.
fn config(cluster: &Value) -> Option<&Value> {
    let extensions = cluster.get("extensions").and_then(Value::as_array)?;
    let named =
        |extension: &&Value| extension.get("name") == Some(&json!("client.authentication.k8s.io/exec"));
    extensions.iter().find(named)?.get("extension")
}

fn words<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    of.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
