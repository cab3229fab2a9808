//! Policies that stand in files of their own, and in folders of such files.

use std::io;
use std::path::{Path, PathBuf};

use config::{Faults, Fields, KeyStyle, Section};

use super::read::list;
use super::source::Faulty;

/// A file of policies as it was found.
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// What stands in it.
    pub text: io::Result<String>,
}

/// The files and folders that a configuration lists under `tokenExchange.policyFiles`, whatever else is wrong with it:
/// for who watches them. Relative ones begin at the configuration's own folder.
pub fn listed(configuration: &Section) -> Vec<PathBuf> {
    let unheard = Faults::new();
    let section = configuration.fields(KeyStyle::Dex, &unheard).section("tokenExchange");
    let names: Vec<String> = section.fields(KeyStyle::Ours, &unheard).or_default(KEY);
    names.iter().map(|name| base(&section).join(name)).collect()
}

/// Reads what is listed: a file as it is, of a folder every `.yaml`, `.yml` and `.json` in the order of their names.
/// Names that begin with a dot are left out, such as those by which Kubernetes exchanges a volume's content.
pub fn gather(listed: &[PathBuf]) -> Vec<Found> {
    let mut all = Vec::new();
    for path in listed {
        match folder(path) {
            None => all.push(Found { path: path.clone(), text: std::fs::read_to_string(path) }),
            Some(Err(error)) => all.push(Found { path: path.clone(), text: Err(error) }),
            Some(Ok(files)) => {
                all.extend(
                    files.into_iter().map(|path| Found { text: std::fs::read_to_string(&path), path }),
                );
            }
        }
    }
    all
}

fn folder(path: &Path) -> Option<io::Result<Vec<PathBuf>>> {
    if !path.is_dir() {
        return None;
    }
    let read = || {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            let wanted = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
            if wanted && !hidden && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    };
    Some(read())
}

/// The sections of all files. One that cannot be read is a fault: what it would deny is not known.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Vec<Section>, Faulty> {
    let faults = fields.faults();
    let base = base_of(fields.path());
    let Some(names) = list(fields, KEY, false)? else { return Ok(Vec::new()) };
    let listed: Vec<PathBuf> = names.iter().map(|name| base.join(name)).collect();
    let mut sections = Vec::new();
    let mut sound = true;
    for Found { path, text } in gather(&listed) {
        let shown = path.display().to_string();
        match text {
            Ok(text) => match config::parse_file(&text, &shown, faults) {
                Some(section) => sections.push(section),
                None => sound = false,
            },
            Err(error) => {
                fields.unfit(KEY, format!("{shown} cannot be read: {error}"));
                sound = false;
            }
        }
    }
    sound.then_some(sections).ok_or(Faulty)
}

fn base(section: &Section) -> PathBuf {
    base_of(section.path())
}

fn base_of(path: &config::Path) -> PathBuf {
    path.file().and_then(|file| Path::new(file).parent()).map(Path::to_path_buf).unwrap_or_default()
}

const KEY: &str = "policyFiles";
