//! Opens pages in the person's browser, wherever that is: BROWSER, the desktop's way, Windows from inside WSL. A machine
//! without a screen opens nothing, since what answers there is a browser in the terminal that kubectl runs in.

use std::process::{Command, Stdio};
use std::time::Duration;

use config::Environment;
use url::Url;

use crate::terminal;

/// How to open pages.
#[derive(Debug)]
pub(crate) struct Browser<'a> {
    pub(crate) environment: &'a Environment,
    /// A program that gets the address as its argument.
    pub(crate) command: Option<String>,
    /// Whether nothing is opened.
    pub(crate) skip: bool,
}

/// A program and its arguments.
type Line = (String, Vec<String>);

impl Browser<'_> {
    /// Whether there is anything to open pages with.
    pub(crate) fn exists(&self) -> bool {
        !self.skip && !self.candidates("").is_empty()
    }

    /// Opens a page, without waiting for it: the first program that does not fail at once.
    pub(crate) fn open(&self, url: &Url) {
        let candidates = self.candidates(url.as_str());
        // Beside the command, since a browser that stays in the foreground must not hold it up.
        std::thread::spawn(move || {
            let failures = candidates.iter().map_while(|line| start(line).err()).collect::<Vec<_>>();
            if failures.len() == candidates.len() {
                terminal::say(&format!("no browser could be opened: {}", failures.join("; ")));
            }
        });
    }

    /// Over SSH, the page must be able to come back to this machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.is_set("SSH_CONNECTION") && !self.has_screen()
    }

    fn candidates(&self, url: &str) -> Vec<Line> {
        if let Some(command) = &self.command {
            return vec![(command.clone(), vec![url.to_owned()])];
        }
        let named = self.environment.get("BROWSER").unwrap_or_default();
        let mut all = named.split(':').filter_map(|line| with(line, url)).collect::<Vec<_>>();
        let plain = |program: &str| (program.to_owned(), vec![url.to_owned()]);
        let windows = |program: &str| {
            (program.to_owned(), vec!["url.dll,FileProtocolHandler".to_owned(), url.to_owned()])
        };
        if cfg!(target_os = "macos") {
            all.push(plain("open"));
        } else if cfg!(windows) {
            all.push(windows("rundll32"));
        } else {
            if self.is_set("WSL_DISTRO_NAME") || self.is_set("WSL_INTEROP") {
                all.extend([plain("wslview"), windows("rundll32.exe")]);
            }
            if self.has_screen() {
                all.extend(["xdg-open", "x-www-browser", "sensible-browser"].map(plain));
            }
        }
        all
    }

    fn has_screen(&self) -> bool {
        cfg!(any(target_os = "macos", windows)) || self.is_set("DISPLAY") || self.is_set("WAYLAND_DISPLAY")
    }

    fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }
}

/// One entry of BROWSER: words, with %s where the address goes, else at the end.
fn with(line: &str, url: &str) -> Option<Line> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let program = words.next()?;
    let mut arguments = words.collect::<Vec<_>>();
    if arguments.iter().any(|word| word.contains("%s")) {
        arguments.iter_mut().for_each(|word| *word = word.replace("%s", url));
    } else {
        arguments.push(url.to_owned());
    }
    Some((program, arguments))
}

/// Starts one, away from our terminal, its signals and our output.
fn start((program, arguments): &Line) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    for _ in 0..LOOKS {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{program} ended with {status}")),
            Ok(None) => std::thread::sleep(BETWEEN_LOOKS),
            Err(error) => return Err(format!("{program}: {error}")),
        }
    }
    Ok(())
}

/// Openers end at once, browsers do not: what has not failed within two seconds is at work.
const LOOKS: u32 = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(pairs: &[(&str, &str)], command: Option<&str>) -> Vec<String> {
        let environment = pairs.iter().copied().collect();
        let browser = Browser { environment: &environment, command: command.map(str::to_owned), skip: false };
        let lines = browser.candidates("https://o.example/a?b=c&d");
        lines.into_iter().map(|(program, arguments)| format!("{program} {}", arguments.join(" "))).collect()
    }

    #[test]
    fn the_persons_own_choice_comes_first() {
        let url = "https://o.example/a?b=c&d";
        assert_eq!(programs(&[("DISPLAY", ":0")], Some("my browser")), [format!("my browser {url}")]);
        let named = programs(&[("BROWSER", "firefox --new-tab %s::lynx")], None);
        assert_eq!(named, [format!("firefox --new-tab {url}"), format!("lynx {url}")]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_without_a_screen_opens_nothing_and_wsl_asks_windows() {
        assert!(programs(&[("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")], None).is_empty());
        assert!(programs(&[("WAYLAND_DISPLAY", "wayland-0")], None)[0].starts_with("xdg-open "));
        let wsl = programs(&[("WSL_DISTRO_NAME", "Debian")], None);
        assert!(
            wsl[0].starts_with("wslview https://")
                && wsl[1].starts_with("rundll32.exe url.dll,FileProtocolHandler https")
        );
    }
}
