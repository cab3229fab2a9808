//! Where and how the proxy serves: addresses, certificates, and what is offered in handshakes.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::{Clock, Observer, Tasks};
use anyhow::{Context as _, ensure};
use inbound::{Offer, Other, PairFiles, ServerTls, TlsVersion, Versions};

use crate::cli::Usage;

/// Flags of the ports.
#[derive(Debug, clap::Args)]
pub(super) struct Serving {
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The port to serve HTTPS on; 0 takes a free one and prints it
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// The certificate to serve with, followed by its intermediates; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// The folder whose tls.crt and tls.key are served with if no files are named
    #[arg(long, value_name = "FOLDER")]
    cert_dir: Option<PathBuf>,
    /// A certificate and its key for other names: CERT,KEY for its own, CERT,KEY:NAME,*.NAME for these; may be repeated
    #[arg(long, value_name = "CERT,KEY[:NAMES]", value_parser = sni)]
    tls_sni_cert_key: Vec<Sni>,
    /// The lowest TLS version that is spoken: VersionTLS12 or VersionTLS13
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS12", value_parser = version)]
    tls_min_version: TlsVersion,
    /// The cipher suites of TLS 1.2, by Go's names; every good one if not given. TLS 1.3's are always there
    #[arg(long, value_name = "SUITES", value_delimiter = ',')]
    tls_cipher_suites: Vec<String>,
    /// HTTP/2 requests at once on one connection; 0: 100, as the API server allows
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    http2_max_streams_per_connection: u32,
    /// Read for old command lines' sake: whatever comes from the API server is passed on at once
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = interval)]
    flush_interval: Option<Interval>,
    /// The port of /ready and /live, over plain HTTP; 0 takes a free one and prints it
    #[arg(long, short = 'P', value_name = "PORT", default_value_t = 8080)]
    readiness_probe_port: u16,
}

/// A certificate for other names.
#[derive(Debug, Clone)]
struct Sni {
    files: PairFiles,
    names: Vec<String>,
}

/// An interval that nobody waits for.
#[derive(Debug, Clone, Copy)]
struct Interval;

/// Who reads certificates again.
pub(super) struct Following<'a> {
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) tasks: &'a Tasks,
    pub(super) observer: Arc<dyn Observer<inbound::Event>>,
}

impl Serving {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.secure_port != self.readiness_probe_port || self.secure_port == 0,
            Usage(format!("unable to securely serve on port {} (used by readiness probe)", self.secure_port))
        );
        ensure!(
            self.tls_cert_file.is_some() || self.cert_dir.is_some(),
            Usage("--tls-cert-file and --tls-private-key-file, or --cert-dir: who are we?".into())
        );
        Ok(())
    }

    pub(super) const fn secure_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port)
    }

    pub(super) const fn probe_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.readiness_probe_port)
    }

    pub(super) const fn streams(&self) -> u32 {
        match self.http2_max_streams_per_connection {
            0 => STREAMS,
            some => some,
        }
    }

    /// TLS with all certificates, each of which is followed.
    pub(super) fn tls(&self, following: &Following<'_>) -> anyhow::Result<Arc<ServerTls>> {
        if let Some(Interval) = self.flush_interval {
            tracing::info!("--flush-interval has no effect: whatever comes is passed on at once");
        }
        let mut others = Vec::new();
        for Sni { files, names } in &self.tls_sni_cert_key {
            let pair = files.read()?;
            let tls = Arc::new(ServerTls::new(&pair, Versions::default()).with_context(|| told(files))?);
            following.follow(&tls, files.clone(), pair)?;
            others.push(Other { names: names.clone(), tls });
        }
        let files = self.files();
        let pair = files.read()?;
        let versions = Versions { min: self.tls_min_version, ..Versions::default() };
        let offer = Offer { versions, suites: self.tls_cipher_suites.clone(), others };
        let tls = Arc::new(ServerTls::offering(&pair, offer).with_context(|| told(&files))?);
        following.follow(&tls, files, pair)?;
        Ok(tls)
    }

    fn files(&self) -> PairFiles {
        let folder = self.cert_dir.as_deref().unwrap_or(Path::new(""));
        let file = |named: &Option<PathBuf>, usual: &str| named.clone().unwrap_or_else(|| folder.join(usual));
        PairFiles {
            chain: file(&self.tls_cert_file, "tls.crt"),
            key: file(&self.tls_private_key_file, "tls.key"),
        }
    }
}

impl Following<'_> {
    fn follow(&self, tls: &Arc<ServerTls>, files: PairFiles, pair: inbound::Pair) -> anyhow::Result<()> {
        let hangups = crate::signals::hangups(self.tasks)?;
        let (tls, clock, observer) = (Arc::clone(tls), Arc::clone(self.clock), Arc::clone(&self.observer));
        self.tasks.spawn_until_stop(tls.follow(files, pair, clock, hangups, observer));
        Ok(())
    }
}

fn told(files: &PairFiles) -> String {
    format!("{} cannot be served with", files.chain.display())
}

/// kube-apiserver's form.
fn sni(text: &str) -> Result<Sni, String> {
    let (files, names) = text.split_once(':').map_or((text, None), |(files, names)| (files, Some(names)));
    let (chain, key) = files
        .split_once(',')
        .filter(|(chain, key)| !chain.is_empty() && !key.is_empty() && !key.contains(','))
        .ok_or("expected comma separated certificate and key file paths")?;
    let names: Vec<String> =
        names.into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err("empty names list is not allowed".into());
    }
    Ok(Sni { files: PairFiles { chain: chain.into(), key: key.into() }, names })
}

fn version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "VersionTLS12" => Ok(TlsVersion::V1_2),
        "VersionTLS13" => Ok(TlsVersion::V1_3),
        "VersionTLS10" | "VersionTLS11" => Err("older versions than TLS 1.2 are not spoken".into()),
        _ => Err("write VersionTLS12 or VersionTLS13".into()),
    }
}

fn interval(text: &str) -> Result<Interval, String> {
    let span = text.strip_prefix('-').unwrap_or(text);
    config::parse_duration(span).map(|_| Interval).map_err(|error| error.to_string())
}

/// As many as the API server allows.
const STREAMS: u32 = 100;

#[cfg(test)]
mod tests {
    use ambient::SystemClock;
    use clap::Parser;
    use testkit::TestCa;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serving: Serving,
    }

    fn read(flags: &[&str]) -> Result<Serving, String> {
        let line = Line::try_parse_from(["proxy"].iter().chain(flags)).map_err(|error| error.to_string())?;
        line.serving.check().map_err(|error| error.to_string())?;
        Ok(line.serving)
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for bad in [
            &["--tls-min-version=VersionTLS11"][..],
            &["--tls-min-version=1.3"],
            &["--tls-sni-cert-key=c"],
            &["--tls-sni-cert-key=c,k,x"],
            &["--tls-sni-cert-key=c,k:"],
            &["--flush-interval=soon"],
            &["--secure-port=8080"],
            &["--tls-cert-file=c"],
        ] {
            assert!(read(&[&["--cert-dir=d"], bad].concat()).is_err(), "{bad:?}");
        }
        assert!(read(&[]).is_err(), "no certificate");
        for good in ["--flush-interval=-1s", "--flush-interval=0s", "--flush-interval=50ms"] {
            assert!(read(&["--cert-dir=d", good]).is_ok(), "{good}");
        }
    }

    #[test]
    fn flags_say_what_is_served_with() {
        let serving = read(&[
            "--tls-cert-file=c",
            "--tls-private-key-file=k",
            "--cert-dir=d",
            "--tls-sni-cert-key=a.crt,a.key",
            "--tls-sni-cert-key=b.crt,b.key:b.test,*.b.test",
            "--http2-max-streams-per-connection=7",
        ])
        .unwrap();
        assert_eq!((serving.files().chain, serving.streams()), (PathBuf::from("c"), 7));
        let names: Vec<_> = serving.tls_sni_cert_key.iter().map(|sni| sni.names.len()).collect();
        assert_eq!(names, [0, 2]);
        let least = read(&["--cert-dir=d"]).unwrap();
        assert_eq!((least.files().key, least.streams()), (PathBuf::from("d/tls.key"), 100));
    }

    #[tokio::test]
    async fn the_folder_s_pair_is_served_with_and_a_suite_that_is_not_offered_refused() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = TestCa::new().leaf(&[]);
        std::fs::write(folder.path().join("tls.crt"), &leaf.cert_pem).unwrap();
        std::fs::write(folder.path().join("tls.key"), &leaf.key_pem).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let tasks = Tasks::default();
        let following = Following { clock: &clock, tasks: &tasks, observer: Arc::new(ambient::Ignore) };
        let flag = format!("--cert-dir={}", folder.path().display());
        assert!(read(&[&flag]).unwrap().tls(&following).is_ok());
        let weak = read(&[&flag, "--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA"]).unwrap();
        let error = format!("{:#}", weak.tls(&following).unwrap_err());
        assert!(error.contains("TLS_RSA_WITH_AES_128_CBC_SHA"), "{error}");
        tasks.stop();
    }
}
