//! `obol keygen`: keys that replicas share.

use std::io::Write as _;
use std::path::PathBuf;

use ambient::{Random as _, SystemRandom};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::door::Door;

/// Make a key for `sealing`: 48 random bytes, as base64.
///
/// All replicas of a provider share one. What was sealed under it is lost with it, so keep a copy where the database's
/// copies are not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol keygen --output /etc/obol/sealing.key        and  sealing: {keyFile: /etc/obol/sealing.key}
  kubectl create secret generic obol --from-literal=SEALING_KEY=\"$(obol keygen)\"
                                                    and  sealing: {keyEnv: SEALING_KEY}")]
pub(crate) struct Args {
    /// Write it there, for its owner alone, instead of printing it; a file that exists is left as it is
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let mut raw = Zeroizing::new([0; BYTES]);
        SystemRandom.fill(raw.as_mut());
        let key = Zeroizing::new(STANDARD.encode(*raw));
        let Some(path) = self.output else { return door.print(&key) };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            writeln!(file, "{}", *key)?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot make {}", path.display()))
    }
}

/// Sealing wants 32 at least.
const BYTES: usize = 48;
