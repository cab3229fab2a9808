//! A configuration file, read whole: every crate decodes its own sections, and all faults come at once.

#[cfg(test)]
mod reference;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use ambient::{Secret, SystemClock, SystemRandom, Tasks};
use anyhow::Context as _;
use config::{Environment, Faults, Fields, KeyStyle, Read as _, Section};
use provider::connector::Opened;
use provider::records::Sealing;

use crate::{admin, telemetry};

/// Everything a `serve` is told.
pub(crate) struct Configuration {
    pub(crate) provider: provider::settings::Settings,
    pub(crate) connectors: Vec<Opened>,
    pub(crate) storage: stores::Plan,
    pub(crate) sealing: AtRest,
    pub(crate) web: web::Settings,
    pub(crate) telemetry: telemetry::Settings,
    pub(crate) admin: Option<admin::Settings>,
    /// A hash of each top-level key, folded: what a reload compares.
    pub(crate) outline: BTreeMap<String, u64>,
}

/// How secrets are kept at rest.
pub(crate) enum AtRest {
    /// Under a key.
    Sealed(Sealing),
    /// `sealing: none`.
    Plain,
    /// Nothing is said, and nothing else in the file is Obol's own: a Dex configuration.
    Unsaid,
    /// Nothing is said, in a configuration of our own.
    Forgotten,
}

/// What connectors are opened with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) random: Arc<SystemRandom>,
    pub(crate) tasks: Tasks,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// Keys that nobody knows are errors.
    pub(crate) strict: bool,
    /// Addresses from the command line.
    pub(crate) listen: web::Instead,
}

/// Reads a file. What is wrong is in `faults`; the value is there only if nothing is.
pub(crate) fn read(
    text: &str,
    path: &Path,
    environment: &Environment,
    around: &Surroundings,
    listen: web::Instead,
    faults: &Faults,
) -> Option<Configuration> {
    let section = config::parse_file(text, &path.display().to_string(), faults)?;
    let mut root = section.fields(KeyStyle::Dex, faults);
    let ours = OURS.iter().any(|key| root.is_written(key));
    let sealing = sealing(&mut root, environment, ours);
    let provider = provider::settings::Settings::read(&mut root, environment);
    let web = web::Settings::read(&mut root, listen);
    let telemetry = telemetry::Settings::read(&mut root);
    let admin = admin::Settings::read(&mut root);
    let mut storage = root.group("storage");
    let plan = stores::decode(&mut storage, environment);
    storage.finish();
    let issuer =
        provider.as_ref().map_or_else(|| Arc::from(""), |settings| Arc::clone(&settings.issuer.text));
    let connectors = connectors::read(&mut root, environment, &context(issuer, around));
    if let Some(settings) = &provider {
        // Also those of a kind that is not there yet: they are told of by themselves.
        let written = ids(&section);
        let mut all: Vec<&str> = connectors.iter().map(|opened| &*opened.id).collect();
        all.extend(written.iter().map(String::as_str));
        settings.oauth2.check_connectors(&all, &mut root);
    }
    if let Some(policies) = provider.as_ref().and_then(|settings| settings.exchange.as_ref()) {
        let ids: Vec<&str> = connectors.iter().map(|opened| &*opened.id).collect();
        policies.check_connectors(&ids, faults);
        let issuers = issuers(&section);
        policies.check_tenants(|id| issuers.get(id).cloned(), faults);
    }
    root.unsupported(&["grpc", "sessions", "mfa"]);
    root.restricting(&OURS);
    root.finish();
    if faults.has_errors() {
        return None;
    }
    let outline = outline(&section);
    Some(Configuration {
        provider: provider?,
        connectors,
        storage: plan?,
        sealing,
        web,
        telemetry,
        admin,
        outline,
    })
}

fn outline(section: &Section) -> BTreeMap<String, u64> {
    let unheard = Faults::new();
    let hash = |field: &config::Field<'_>| {
        let mut hasher = DefaultHasher::new();
        serde_json::Value::read(field).unwrap_or_default().to_string().hash(&mut hasher);
        hasher.finish()
    };
    let entries = section.field(KeyStyle::Dex, &unheard).entries().unwrap_or_default();
    entries.iter().map(|(key, field)| (key.to_ascii_lowercase(), hash(field))).collect()
}

/// The issuers that connectors name, by the connectors' ids.
fn issuers(section: &Section) -> BTreeMap<String, String> {
    let unheard = Faults::new();
    let mut root = section.fields(KeyStyle::Dex, &unheard);
    let one = |field: &config::Field<'_>| {
        let mut connector = field.group();
        let id: String = connector.optional("id")?;
        let issuer: String = connector.group("config").optional("issuer")?;
        Some((id, issuer))
    };
    root.elements("connectors").iter().filter_map(one).collect()
}

/// The ids of all connectors that are written.
fn ids(section: &Section) -> Vec<String> {
    let unheard = Faults::new();
    let mut root = section.fields(KeyStyle::Dex, &unheard);
    root.elements("connectors").iter().filter_map(|field| field.group().optional("id")).collect()
}

fn context(issuer: Arc<str>, around: &Surroundings) -> connectors::Context {
    connectors::Context {
        issuer,
        clock: Arc::clone(&around.clock) as Arc<dyn ambient::Clock>,
        random: Arc::clone(&around.random) as Arc<dyn ambient::Random>,
        tasks: around.tasks.clone(),
        dial: outbound::Dial::new(Arc::clone(&around.clock) as Arc<dyn ambient::Clock>),
        mount: SERVICE_ACCOUNT.into(),
    }
}

/// Reads a file from disk, tells what is wrong with it, and begins the log as it says.
pub(crate) fn load(
    path: &Path,
    environment: &Environment,
    around: &Surroundings,
    reading: Reading,
) -> anyhow::Result<Configuration> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let faults = if reading.strict { Faults::strict() } else { Faults::new() };
    let configuration = read(&text, path, environment, around, reading.listen, &faults);
    let errors = faults.errors().len();
    match &configuration {
        Some(good) => {
            good.telemetry.logger.install();
            if good.telemetry.logger.is_json() { log(path, &faults) } else { report(path, &faults) }
        }
        None => report(path, &faults),
    }
    configuration.with_context(|| {
        format!("{} has {errors} fault{}; see above", path.display(), if errors == 1 { "" } else { "s" })
    })
}

/// One line a fault, and one for everything that is accepted and not there yet.
pub(crate) fn report(path: &Path, faults: &Faults) {
    let mut lines: Vec<String> = faults
        .all()
        .iter()
        .map(|fault| {
            let file = fault.file.clone().unwrap_or_else(|| path.display().to_string());
            format!("{file}:{fault}")
        })
        .collect();
    let unsupported = faults.unsupported();
    if !unsupported.is_empty() {
        lines.push(format!(
            "{}: warning: not there yet and without effect: {}",
            path.display(),
            unsupported.join(", ")
        ));
    }
    for line in lines {
        crate::terminal::say(&line);
    }
}

/// The same as lines of the log.
fn log(path: &Path, faults: &Faults) {
    let file = path.display();
    for fault in faults.all() {
        let config::Fault { path, line, what, instead, .. } = fault;
        tracing::warn!(%file, line, key = %path, "{what}; {instead}");
    }
    let unsupported = faults.unsupported();
    if !unsupported.is_empty() {
        tracing::warn!(%file, "not there yet and without effect: {}", unsupported.join(", "));
    }
}

fn sealing(root: &mut Fields<'_>, environment: &Environment, ours: bool) -> AtRest {
    if !root.is_written("sealing") {
        return if ours { AtRest::Forgotten } else { AtRest::Unsaid };
    }
    let Some(field) = root.take("sealing") else { return AtRest::Forgotten };
    if matches!(field.node().value, config::Value::Scalar(_)) {
        if field.string().as_deref() != Some("none") {
            field.error("is neither none nor a key", "write sealing: none, or keyFile or keyEnv below it");
        }
        return AtRest::Plain;
    }
    let mut fields = field.with_keys(KeyStyle::Ours).group();
    let file: Option<String> = fields.optional("keyFile");
    let variable: Option<String> = fields.optional("keyEnv");
    let material = match (file, variable) {
        (Some(path), None) => std::fs::read(&path)
            .map_err(|e| fields.unfit("keyFile", format!("{path} cannot be read: {e}")))
            .ok(),
        (None, Some(name)) => {
            let value = environment.get(&name).map(|value| value.as_bytes().to_vec());
            if value.is_none() {
                fields.unfit("keyEnv", format!("set the environment variable {name}"));
            }
            value
        }
        _ => {
            fields.error("must name one key", "write keyFile or keyEnv");
            None
        }
    };
    let sealing = material.and_then(|material| {
        let sealing = Sealing::from_material(&Secret::new(material), "records");
        if sealing.is_none() {
            fields.error(
                "has a key that is too short",
                "use at least 32 random bytes, e.g. from: openssl rand -base64 48",
            );
        }
        sealing
    });
    fields.finish();
    sealing.map_or(AtRest::Plain, AtRest::Sealed)
}

/// Where a pod finds its own credentials.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Top-level keys that no Dex configuration has.
static OURS: [&str; 3] = ["tokenExchange", "sealing", "admin"];
