//! What everybody said, side by side.

use std::fmt::Write as _;

use client::Inspection;
use cluster::Subject;
use serde_json::{Value, json};

use crate::terminal::one_line;

/// What everybody said.
pub(crate) struct Report {
    pub(super) context: String,
    pub(super) cluster: Cluster,
    pub(super) token: Option<Inspection>,
    pub(super) provider: Option<Provider>,
}

pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) said: Said,
}

pub(super) enum Said {
    Reviewed(Subject),
    /// It is too old to be asked; its refusal names somebody, unless they may do everything.
    Refusing(Option<String>),
}

pub(super) struct Provider {
    pub(super) issuer: String,
    /// By which algorithm, or why not.
    pub(super) outcome: Result<&'static str, String>,
}

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "cluster   {} (context {})",
            one_line(&self.cluster.server),
            one_line(&self.context)
        );
        match &self.cluster.said {
            Said::Reviewed(subject) => {
                let _ = writeln!(out, "  name    {}", one_line(&subject.name));
                if !subject.uid.is_empty() {
                    let _ = writeln!(out, "  uid     {}", one_line(&subject.uid));
                }
                let _ = writeln!(out, "  groups  {}", listed(&subject.groups));
                for (key, values) in &subject.extra {
                    let _ = writeln!(out, "  extra   {} = {}", one_line(key), listed(values));
                }
            }
            Said::Refusing(Some(name)) => {
                let _ = writeln!(
                    out,
                    "  name    {}\n  groups  unknown: an API server before 1.26 does not say",
                    one_line(name)
                );
            }
            Said::Refusing(None) => {
                let _ = writeln!(
                    out,
                    "  name    unknown: an API server before 1.26 does not say, and refuses you nothing"
                );
            }
        }
        if let Some(provider) = &self.provider {
            let word = match &provider.outcome {
                Ok(algorithm) => format!("stands by the token ({algorithm})"),
                Err(why) => format!("cannot be asked, or does not stand by the token: {}", one_line(why)),
            };
            let _ = writeln!(out, "provider  {}\n  {word}", one_line(&provider.issuer));
        }
        match &self.token {
            Some(token) => {
                out.push_str("token\n");
                for line in token.text().lines() {
                    let _ = writeln!(out, "  {line}");
                }
            }
            None => out.push_str("token     none that can be read: a certificate, or an opaque one\n"),
        }
        for unseen in self.unseen() {
            let _ = writeln!(
                out,
                "note      the token has the group {}, and the cluster does not see it",
                one_line(&unseen)
            );
        }
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let (name, subject) = match &self.cluster.said {
            Said::Reviewed(subject) => (Some(subject.name.as_str()), Some(subject)),
            Said::Refusing(name) => (name.as_deref(), None),
        };
        let extra = subject.map(|subject| {
            subject
                .extra
                .iter()
                .cloned()
                .map(|(key, values)| (key, json!(values)))
                .collect::<serde_json::Map<_, _>>()
        });
        let provider = self.provider.as_ref().map(|provider| {
            json!({"issuer": provider.issuer, "verified": provider.outcome.is_ok(), "error": provider.outcome.as_ref().err()})
        });
        let token: Option<Value> =
            self.token.as_ref().and_then(|token| serde_json::from_str(&token.json()).ok());
        let document = json!({
            "context": self.context,
            "cluster": {"server": self.cluster.server, "username": name, "uid": subject.map(|s| &s.uid),
                "groups": subject.map(|s| &s.groups), "extra": extra},
            "provider": provider,
            "token": token,
            "groupsNotSeen": self.unseen(),
        });
        client::plain_json(&document)
    }

    /// Groups of the token that the cluster has under no prefix.
    fn unseen(&self) -> Vec<String> {
        let (Some(token), Said::Reviewed(subject)) = (&self.token, &self.cluster.said) else {
            return Vec::new();
        };
        let seen = |group: &String| subject.groups.iter().any(|known| known.ends_with(group.as_str()));
        token.list("groups").into_iter().filter(|group| !seen(group)).collect()
    }
}

fn listed(all: &[String]) -> String {
    one_line(&all.join(", "))
}
