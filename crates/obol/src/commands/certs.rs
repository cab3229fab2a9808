//! `obol certs`: an authority of one's own and a server certificate of it, for a trial.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ambient::{Clock as _, SystemClock, Time};
use anyhow::{Context as _, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::cli::Usage;
use crate::door::Door;
use crate::terminal;

/// Make an authority and a server certificate of it, for a trial; renew the certificate.
///
/// Writes ca.pem and ca-key.pem, unless the authority is there already, and cert.pem and key.pem. A real installation gets
/// its certificates from an authority that looks after its key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol certs --name dex.example.com --name 127.0.0.1
  obol certs --name dex.example.com --renew      a new certificate of the same authority; `obol serve` takes it up by itself")]
pub(crate) struct Args {
    /// The names and addresses of the server (repeatable, or separated by commas)
    #[arg(long = "name", value_name = "NAME", value_delimiter = ',', visible_alias = "san", required = true)]
    names: Vec<String>,
    /// The folder
    #[arg(long, short, value_name = "FOLDER", default_value = "ssl")]
    output: PathBuf,
    /// For how many days the certificate is good
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
    /// Replace a certificate that is there
    #[arg(long)]
    renew: bool,
}

impl Args {
    pub(crate) fn run(self, _: &Door) -> anyhow::Result<()> {
        let at = |name: &str| self.output.join(name);
        ensure!(
            self.renew || !at("cert.pem").exists(),
            Usage(format!("{} is there: give --renew to replace it", at("cert.pem").display()))
        );
        ensure!(self.names.iter().all(|name| !name.is_empty()), Usage("--name is empty".into()));
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot make {}", self.output.display()))?;
        let now = SystemClock::default().now();
        let ca_key = self.authority(now)?;
        let issuer = Issuer::new(authority(now)?, ca_key);
        let mut params =
            CertificateParams::new(self.names.clone()).context("a name is neither a name nor an address")?;
        params.distinguished_name.push(DnType::CommonName, self.names.first().map_or("", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        lasts(&mut params, now, Duration::from_secs(u64::from(self.days) * DAY))?;
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params.signed_by(&key, &issuer).context("cannot sign")?;
        // The key first: who reads both in between finds a pair that does not fit, and keeps the old one.
        write(&at("key.pem"), &key.serialize_pem())?;
        write(&at("cert.pem"), &certificate.pem())?;
        terminal::say(&format!(
            "{}: ca.pem for whoever connects, cert.pem and key.pem for the server, good for {} days",
            self.output.display(),
            self.days
        ));
        Ok(())
    }

    /// The authority that is there, or a new one.
    fn authority(&self, now: Time) -> anyhow::Result<KeyPair> {
        let (certificate, key) = (self.output.join("ca.pem"), self.output.join("ca-key.pem"));
        if !certificate.exists() && !key.exists() {
            let made = KeyPair::generate().context("cannot make a key")?;
            let signed = authority(now)?.self_signed(&made).context("cannot sign")?;
            write(&key, &made.serialize_pem())?;
            write(&certificate, &signed.pem())?;
            return Ok(made);
        }
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let known = KeyPair::from_pem(&read(&key)?).context("ca-key.pem holds no key that can be used")?;
        // Signing by another key, or in the name of another authority, would make a certificate that nobody believes.
        let found = read(&certificate)?;
        let found = CertificateDer::from_pem_slice(found.as_bytes()).context("ca.pem is no certificate")?;
        ensure!(
            contains(&found, &known.subject_public_key_info()) && contains(&found, AUTHORITY.as_bytes()),
            "ca.pem is not the authority of ca-key.pem, or was not made by this command: use another folder"
        );
        Ok(known)
    }
}

fn authority(now: Time) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY);
    lasts(&mut params, now, Duration::from_secs(3650 * DAY))?;
    Ok(params)
}

/// From yesterday on, since clocks differ.
fn lasts(params: &mut CertificateParams, now: Time, span: Duration) -> anyhow::Result<()> {
    let date = |time: Time| {
        let text = time.rfc3339();
        let mut parts = text.split(['-', 'T']);
        let year = parts.next().and_then(|part| part.parse().ok()).context("the clock shows no year")?;
        let month = parts.next().and_then(|part| part.parse().ok()).context("the clock shows no month")?;
        let day = parts.next().and_then(|part| part.parse().ok()).context("the clock shows no day")?;
        Ok::<_, anyhow::Error>(date_time_ymd(year, month, day))
    };
    params.not_before = date(now - Duration::from_secs(DAY))?;
    params.not_after = date(now + span)?;
    Ok(())
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// For its owner alone, whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let part = path.with_extension("pem.new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

const AUTHORITY: &str = "Obol trial authority";
const DAY: u64 = 24 * 3600;
