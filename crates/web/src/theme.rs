//! What operators change about the pages (`frontend`, dex.md 5): title, logo, colours, style sheets, images, templates.
//!
//! A folder is read whole when the configuration is, and never looked at for a request: what a path names can only be
//! something that was found then. Dex's own templates are Go's and cannot run; where they lie, the built-in pages are
//! shown with the theme's assets. Templates of ours end in `.jinja`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use config::Fields;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Frontend {
    /// The title of all pages.
    pub issuer: Option<String>,
    /// `logoURL`, as it is written.
    pub(crate) logo: Option<String>,
    /// Texts for templates of the operator's.
    pub(crate) extra: BTreeMap<String, String>,
    /// Light or dark whatever the browser likes; `None` is as it likes.
    pub(crate) scheme: Option<&'static str>,
    /// By their path below the issuer's: `/theme/logo.png`.
    pub(crate) assets: BTreeMap<String, Asset>,
    /// By the name of the template that they take the place of.
    pub(crate) templates: BTreeMap<String, String>,
}

/// A file that pages may load.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) kind: &'static str,
    pub(crate) content: Bytes,
}

impl Frontend {
    pub(crate) fn read(mut fields: Fields<'_>) -> Self {
        let mut frontend = Self {
            issuer: fields.optional("issuer").filter(|title: &String| !title.is_empty()),
            logo: fields.optional("logoURL").filter(|url: &String| !url.is_empty()),
            extra: fields.or_default("extra"),
            ..Self::default()
        };
        let dir: Option<String> = fields.optional("dir").filter(|dir: &String| !dir.is_empty());
        let theme: Option<String> = fields.optional("theme").filter(|theme: &String| !theme.is_empty());
        frontend.scheme = theme.as_deref().and_then(scheme);
        match dir {
            Some(dir) => frontend.read_folder(&mut fields, Path::new(&dir), theme.as_deref()),
            None if theme.is_some() && frontend.scheme.is_none() => {
                fields.unfit("theme", "write light or dark, or dir with the folder that holds the theme");
            }
            None => {}
        }
        if let Err(error) = crate::Pages::new(&frontend, "") {
            fields.unfit("dir", format!("mend its templates: {error}"));
        }
        fields.finish();
        frontend
    }

    fn read_folder(&mut self, fields: &mut Fields<'_>, dir: &Path, theme: Option<&str>) {
        let name = match theme {
            None | Some("coreos" | "tectonic") => "light",
            Some(named) => named,
        };
        let plain = !name.contains(['/', '\\']) && !name.starts_with('.');
        let themed = dir.join("themes").join(name);
        if theme.is_some() && self.scheme.is_none() && !(plain && themed.is_dir()) {
            fields.unfit("theme", format!("there is no folder themes/{name} in frontend.dir"));
        }
        let mut found = Found::default();
        let read = found
            .folder(&dir.join("static"), "/static", 0)
            .and_then(|()| if plain { found.folder(&themed, "/theme", 0) } else { Ok(()) })
            .and_then(|()| found.one(&dir.join("robots.txt"), "/robots.txt"))
            .and_then(|()| found.templates(&dir.join("templates")));
        match read {
            Err(why) => fields.unfit("dir", why),
            Ok(()) if !dir.is_dir() => fields.unfit("dir", format!("{} is no folder", dir.display())),
            Ok(()) => {}
        }
        if found.foreign {
            fields.warning(
                "has a folder of Go templates, which cannot run here: the built-in pages are shown with the theme's assets",
                "write templates that end in .jinja (docs/pages.md)",
            );
        }
        self.assets = found.assets;
        self.templates = found.templates;
    }

    /// The logo's URL, if there is one to show.
    pub(crate) fn logo(&self, prefix: &str) -> Option<String> {
        match &self.logo {
            Some(url) if url.contains("://") || url.starts_with('/') => Some(url.clone()),
            Some(path) => Some(format!("{prefix}/{path}")),
            None => self.assets.contains_key(LOGO).then(|| format!("{prefix}{LOGO}")),
        }
    }

    /// The origin of a logo that is somebody else's, for the content policy.
    pub(crate) fn logo_origin(&self) -> Option<String> {
        let url = url::Url::parse(self.logo.as_deref()?).ok()?;
        let origin = url.origin();
        origin.is_tuple().then(|| origin.ascii_serialization())
    }
}

/// What lies in a folder.
#[derive(Default)]
struct Found {
    assets: BTreeMap<String, Asset>,
    templates: BTreeMap<String, String>,
    /// Templates of Dex's.
    foreign: bool,
    bytes: u64,
}

impl Found {
    /// Every file below, if the folder is there.
    fn folder(&mut self, folder: &Path, at: &str, depth: usize) -> Result<(), String> {
        for path in entries(folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // Kubernetes keeps the real files of a volume in folders that begin with two dots.
            if name.starts_with('.') {
                continue;
            }
            let at = format!("{at}/{name}");
            match path.is_dir() {
                true if depth < DEEPEST => self.folder(&path, &at, depth + 1)?,
                true => {}
                false => self.one(&path, &at)?,
            }
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, at: &str) -> Result<(), String> {
        if !path.is_file() {
            return Ok(());
        }
        let content = self.content(path)?;
        self.assets.insert(at.to_owned(), Asset { kind: kind(path), content: content.into() });
        Ok(())
    }

    fn templates(&mut self, folder: &Path) -> Result<(), String> {
        for path in entries(folder)? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("html") => self.foreign = true,
                Some("jinja") => {
                    let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
                    let name = format!("{name}.html");
                    let source = String::from_utf8(self.content(&path)?);
                    let source = source.map_err(|_| format!("{} is not UTF-8", path.display()))?;
                    self.templates.insert(name, source);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn content(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let unread = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        self.bytes = self.bytes.saturating_add(fs::metadata(path).map_err(unread)?.len());
        if self.bytes > MOST_BYTES {
            return Err(format!("the folder holds more than {} MiB", MOST_BYTES / 1024 / 1024));
        }
        fs::read(path).map_err(unread)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{} cannot be read: {error}", folder.display())),
    }
}

/// Dex's themes, and the names that older versions had for them.
fn scheme(theme: &str) -> Option<&'static str> {
    match theme {
        "light" | "coreos" | "tectonic" => Some("light"),
        "dark" => Some("dark"),
        _ => None,
    }
}

/// What browsers are told of a file: they do not guess (`nosniff`).
fn kind(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}

const LOGO: &str = "/theme/logo.png";
const DEEPEST: usize = 4;
/// All files together: they are held in memory.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
