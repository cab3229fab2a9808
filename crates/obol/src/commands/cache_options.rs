//! Where tokens are kept between runs: the same for every command that gets or forgets some.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use client::Cache;

use crate::door::Door;
use crate::terminal;

/// Where tokens are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheOptions {
    /// Where tokens are kept [default: $KUBECACHEDIR/obol, or ~/.kube/cache/obol]
    #[arg(long, value_name = "FOLDER", env = "OBOL_TOKEN_CACHE_DIR")]
    token_cache_dir: Option<PathBuf>,
    /// Whether tokens are kept
    #[arg(long, value_name = "KIND", env = "OBOL_TOKEN_CACHE_STORAGE", default_value = "disk")]
    token_cache_storage: Storage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    /// In files that only their owner can read
    Disk,
    /// kubelogin's third way
    #[value(hide = true)]
    Keyring,
    /// Not at all
    None,
}

impl CacheOptions {
    /// A cache that cannot be used costs time and nothing else, so it is said and done without.
    pub(crate) fn cache(&self, door: &Door) -> Option<Cache> {
        if self.token_cache_storage == Storage::None {
            return None;
        }
        if self.token_cache_storage == Storage::Keyring {
            terminal::say("the keyring is not offered: tokens are kept in files that only you can read");
        }
        let opened = self.open(door);
        opened.map_err(|error| terminal::say(&format!("{error:#}; going on without it"))).ok()
    }

    /// The cache, or why there is none.
    pub(crate) fn open(&self, door: &Door) -> anyhow::Result<Cache> {
        Ok(Cache::open(self.folder(door)?)?)
    }

    fn folder(&self, door: &Door) -> anyhow::Result<PathBuf> {
        let no_home = "there is no home folder to keep tokens in: give --token-cache-dir";
        match &self.token_cache_dir {
            Some(folder) => match folder.strip_prefix("~") {
                Ok(inside) => Ok(door.home().context(no_home)?.join(inside)),
                Err(_) => Ok(folder.clone()),
            },
            None => match door.environment.get("KUBECACHEDIR").filter(|folder| !folder.is_empty()) {
                Some(folder) => Ok(PathBuf::from(folder).join("obol")),
                None => Ok(door.home().context(no_home)?.join(".kube/cache/obol")),
            },
        }
    }
}
