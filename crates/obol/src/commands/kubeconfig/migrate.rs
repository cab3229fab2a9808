//! From kubelogin and Gangway to `obol get-token`: the same issuer, client and scopes by another command.

use client::{List, edit_kubeconfig};
use serde_json::{Value, json};

use super::entry::{exec, plugin};
use crate::door::Door;
use crate::kubeconfigs::KubeconfigOption;
use crate::terminal;

/// Move users of kubelogin, and those that Gangway wrote, over to `obol get-token`.
///
/// Users whose command is `kubectl oidc-login` or `kubelogin` keep their flags. Those of the old `auth-provider: oidc`,
/// as Gangway and kubelogin's first way wrote them, get flags that say the same; their tokens are dropped, and a client
/// secret that stood there moves into the environment of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    file: KubeconfigOption,
}

impl Args {
    pub(super) fn run(&self, door: &Door) -> anyhow::Result<()> {
        let files = self.file.open(door)?;
        let program = door.command();
        let mut moved = Vec::new();
        for (name, body) in files.items(List::Users) {
            if self.user.as_deref().is_some_and(|user| user != name) {
                continue;
            }
            if let Some(new) = moved_over(body, &program) {
                let arguments = new.pointer("/exec/args").and_then(Value::as_array);
                let arguments = arguments.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
                plugin(&arguments.collect::<Vec<_>>())?;
                moved.push((name.to_owned(), new));
            }
        }
        for path in files.paths() {
            edit_kubeconfig(path, |config| {
                let here = moved.iter().filter(|(name, _)| files.place(List::Users, name) == path);
                here.into_iter().try_for_each(|(name, body)| config.put(List::Users, name, body))
            })?;
        }
        match moved.len() {
            0 => terminal::say("nobody to move over: no user signs in by kubelogin or an auth-provider"),
            _ => moved.iter().for_each(|(name, _)| terminal::say(&format!("moved the user {name} over"))),
        }
        Ok(())
    }
}

fn moved_over(body: &Value, program: &str) -> Option<Value> {
    let own = |body: Value| Some(body);
    if let Some(arguments) = of_kubelogin(body) {
        let mut new = body.clone();
        let section = new.get_mut("exec")?.as_object_mut()?;
        section.insert("command".to_owned(), json!(program));
        section.insert("args".to_owned(), json!(arguments));
        if section.get("apiVersion").and_then(Value::as_str) == Some("client.authentication.k8s.io/v1alpha1")
        {
            section.insert("apiVersion".to_owned(), json!("client.authentication.k8s.io/v1"));
        }
        section.entry("interactiveMode").or_insert(json!("IfAvailable"));
        return own(new);
    }
    let provider =
        body.get("auth-provider").filter(|provider| provider.get("name") == Some(&json!("oidc")))?;
    let config = |key: &str| provider.get("config")?.get(key)?.as_str().filter(|text| !text.is_empty());
    let mut arguments = vec!["get-token".to_owned()];
    for (key, flag) in [
        ("idp-issuer-url", "oidc-issuer-url"),
        ("client-id", "oidc-client-id"),
        ("idp-certificate-authority", "certificate-authority"),
        ("idp-certificate-authority-data", "certificate-authority-data"),
        ("extra-scopes", "oidc-extra-scope"),
    ] {
        arguments.extend(config(key).map(|value| format!("--{flag}={value}")));
    }
    // Whoever had a refresh token had asked for one.
    if config("refresh-token").is_some()
        && !config("extra-scopes").is_some_and(|s| s.contains("offline_access"))
    {
        arguments.push("--oidc-extra-scope=offline_access".to_owned());
    }
    let mut section = exec(program, &arguments);
    if let Some(secret) = config("client-secret") {
        section
            .as_object_mut()?
            .insert("env".to_owned(), json!([{"name": "OBOL_CLIENT_SECRET", "value": secret}]));
    }
    own(json!({ "exec": section }))
}

/// The arguments for our own command, if the user's is kubelogin's.
fn of_kubelogin(body: &Value) -> Option<Vec<&str>> {
    let section = body.get("exec")?;
    let command = section.get("command")?.as_str()?;
    let program = command.rsplit(['/', '\\']).next()?.trim_end_matches(".exe");
    let arguments = section.get("args")?.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
    let own = match (program, arguments.as_slice()) {
        ("kubectl", ["oidc-login", rest @ ..]) => rest,
        ("kubelogin" | "kubectl-oidc_login", rest) => rest,
        _ => return None,
    };
    (own.first() == Some(&"get-token")).then(|| own.to_vec())
}
