//! Debian's packages, installed in one call and without starting any daemon of theirs by hand.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Cache;
use crate::shell::{output, run_logged, step};

/// Installs packages (none: does nothing).
pub(crate) fn install(cache: &Cache, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let named = packages.join(" ");
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("these Debian packages are missing; install them as root and come back: {named}");
    }
    step("apt-get update", || run_logged(apt_get(cache).arg("update"), &cache.log("apt-update")))?;
    step(&format!("apt-get install {named}"), || {
        let mut command = apt_get(cache);
        command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        run_logged(&mut command, &cache.log("apt-install"))
    })
}

/// Unpacks a binary package into `folder` without installing it: its programs may be there in another version.
pub(crate) fn unpack(cache: &Cache, package: &str, folder: &Path) -> Result<()> {
    let mut download = apt_get(cache);
    run_logged(download.current_dir(folder).args(["download", package]), &cache.log("apt-download"))?;
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg-deb");
            run_logged(unpack.arg("-x").arg(&file).arg(folder), &cache.log("apt-unpack"))?;
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

/// Downloads the upstream tarball of a source package into `folder`.
///
/// Its lists are kept apart from the system's, and derived from them: only the type of each entry is changed.
pub(crate) fn download_source(cache: &Cache, package: &str, folder: &Path) -> Result<()> {
    let lists = folder.join("lists");
    let parts = folder.join("sources.list.d");
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(&parts)?;
    fs::write(parts.join("derived.sources"), derived_sources()?)?;
    let apt = || {
        let mut command = apt_get(cache);
        command.arg("-o").arg("Dir::Etc::sourcelist=/dev/null");
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={}", parts.display()));
        command.arg("-o").arg(format!("Dir::State::lists={}", lists.display()));
        command.current_dir(folder);
        command
    };
    run_logged(apt().arg("update"), &cache.log("apt-update-sources"))?;
    run_logged(apt().args(["source", "--download-only", package]), &cache.log("apt-source"))
}

/// The `deb` entries of this system's own release as `deb-src` entries, in deb822 form.
fn derived_sources() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release names no VERSION_CODENAME: not a Debian release")?;
    let mut files = vec!["/etc/apt/sources.list".into()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    let mut derived = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => {
                derived.extend(text.split("\n\n").filter_map(|entry| source_stanza(entry, codename)));
            }
            Some("list") => derived.extend(text.lines().filter_map(|line| source_line(line, codename))),
            _ => {}
        }
    }
    if derived.is_empty() {
        bail!("apt's sources have no entry for {codename}");
    }
    Ok(derived.join("\n\n") + "\n")
}

/// A deb822 stanza, if it is of this release.
fn source_stanza(stanza: &str, codename: &str) -> Option<String> {
    let field =
        |line: &str, name: &str| line.strip_prefix(name).is_some_and(|value| value.contains(codename));
    let is_of_release = stanza.lines().any(|line| field(line, "Suites:"));
    let retyped =
        |line: &str| if line.starts_with("Types:") { "Types: deb-src".to_owned() } else { line.to_owned() };
    is_of_release.then(|| stanza.trim().lines().map(retyped).collect::<Vec<_>>().join("\n"))
}

/// A line `deb [options] URI suite component…` as a stanza, if it is of this release.
fn source_line(line: &str, codename: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let components = words.collect::<Vec<_>>().join(" ");
    let signed = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let signed = signed.map(|path| format!("\nSigned-By: {path}")).unwrap_or_default();
    let stanza = format!("Types: deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: {components}{signed}");
    suite.starts_with(codename).then_some(stanza)
}

/// apt-get with an archive folder of its own: the system's is emptied by whoever else finishes an install.
fn apt_get(cache: &Cache) -> Command {
    let archives = cache.path("apt");
    let _ = fs::create_dir_all(archives.join("partial"));
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-o");
    command.arg(format!("Dir::Cache::archives={}", archives.display()));
    command.args([
        "-o",
        "APT::Sandbox::User=root",
        "-o",
        "DPkg::Lock::Timeout=400",
        "-o",
        "Acquire::Retries=3",
    ]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_derived_by_type_alone() {
        let stanza =
            "Types: deb\nURIs: http://debian.example\nSuites: bookworm bookworm-updates\nComponents: main";
        let derived = source_stanza(stanza, "bookworm").unwrap();
        assert_eq!(derived, stanza.replace("Types: deb", "Types: deb-src"));
        assert_eq!(source_stanza(stanza, "trixie"), None);
        let line = "deb [arch=amd64 signed-by=/k.gpg] http://debian.example bookworm main contrib";
        assert_eq!(
            source_line(line, "bookworm").unwrap(),
            "Types: deb-src\nURIs: http://debian.example\nSuites: bookworm\nComponents: main contrib\nSigned-By: /k.gpg"
        );
        assert_eq!(source_line("deb http://debian.example trixie main", "bookworm"), None);
        assert_eq!(source_line("# deb http://debian.example bookworm main", "bookworm"), None);
    }
}
