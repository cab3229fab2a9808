//! What is wrong with a configuration: everything at once, so that nobody mends one fault per start.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::node::Position;
use crate::path::Path;
use crate::read::Kind;

/// The faults of one configuration, gathered while it is read. Shared by reference; reading goes on after a fault.
///
/// It also remembers every key that was asked for, so that tests and the reference page list what is really read.
#[derive(Debug, Default)]
pub struct Faults {
    gathered: Mutex<Gathered>,
    strict: bool,
    rehearsal: bool,
}

/// One thing that is wrong. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// The file, if it was read under a name.
    pub file: Option<String>,
    /// Where: `connectors[1].config.issuer`; empty for the file as a whole.
    pub path: String,
    /// The line, from 1; 0 if it is not in the file.
    pub line: u32,
    /// The column, from 1; 0 if it is not in the file.
    pub column: u32,
    /// What is wrong, as the end of a sentence that begins with the path: `is not a URL`.
    pub what: String,
    /// What to write instead; may be empty.
    pub instead: String,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, and somebody should look.
    Warning,
}

/// A key that the program asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its path with list positions and free keys left open: `connectors[].config.issuer`.
    pub pattern: String,
    /// What is read from it.
    pub kind: Kind,
    /// Whether its absence is a fault.
    pub required: bool,
}

#[derive(Debug, Default)]
struct Gathered {
    faults: Vec<Fault>,
    left_out: usize,
    known: BTreeMap<String, (Kind, bool)>,
    /// The shapes of the paths that are known.
    seen: HashSet<u64>,
    unsupported: Vec<String>,
}

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Faults::new`], but keys that nobody knows are errors in Dex's sections too (`--strict`).
    pub fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    /// Gathers no faults, but every key there is: absent parts are read as if they were there and empty. For the
    /// reference page and the tests that compare it with the program.
    pub fn rehearsal() -> Self {
        Self { rehearsal: true, ..Self::default() }
    }

    /// Writes down an error.
    pub fn error(&self, path: &Path, at: Position, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Error, path, at, what.into(), instead.into());
    }

    /// Writes down a warning.
    pub fn warning(&self, path: &Path, at: Position, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Warning, path, at, what.into(), instead.into());
    }

    /// Whether the configuration must not be used.
    pub fn has_errors(&self) -> bool {
        let gathered = self.lock();
        gathered.left_out > 0 || gathered.faults.iter().any(|f| f.severity == Severity::Error)
    }

    /// Everything that is wrong, in the order of the file.
    pub fn all(&self) -> Vec<Fault> {
        let gathered = self.lock();
        let mut all = gathered.faults.clone();
        all.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        if gathered.left_out > 0 {
            all.push(Fault {
                severity: Severity::Error,
                file: None,
                path: String::new(),
                line: 0,
                column: 0,
                what: format!("{} more faults are not listed", gathered.left_out),
                instead: String::from("mend these first"),
            });
        }
        all
    }

    /// What makes the configuration unusable, in the order of the file.
    pub fn errors(&self) -> Vec<Fault> {
        self.all().into_iter().filter(|f| f.severity == Severity::Error).collect()
    }

    /// What somebody should look at, in the order of the file.
    pub fn warnings(&self) -> Vec<Fault> {
        self.all().into_iter().filter(|f| f.severity == Severity::Warning).collect()
    }

    /// Every key that was asked for, sorted by pattern.
    pub fn known_keys(&self) -> Vec<KnownKey> {
        let known = |(pattern, (kind, required)): (&String, &(Kind, bool))| KnownKey {
            pattern: pattern.clone(),
            kind: *kind,
            required: *required,
        };
        self.lock().known.iter().map(known).collect()
    }

    /// The paths that are written in the file, are known, and have no effect yet; for one warning that names them all.
    pub fn unsupported(&self) -> Vec<String> {
        self.lock().unsupported.clone()
    }

    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// The text is made for the first of a thousand policies alone.
    pub(crate) fn know(&self, path: &Path, kind: Kind, required: bool) {
        let mut gathered = self.lock();
        if gathered.seen.insert(path.shape()) {
            gathered.known.entry(path.pattern()).or_insert((kind, required));
        }
    }

    pub(crate) fn add_unsupported(&self, path: &Path, why: &str) {
        let note = if why.is_empty() { String::new() } else { format!(" ({why})") };
        self.lock().unsupported.push(format!("{path}{note}"));
    }

    /// Whether further faults would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().faults.len() >= LISTED
    }

    fn add(&self, severity: Severity, path: &Path, at: Position, what: String, instead: String) {
        if self.rehearsal {
            return;
        }
        let (file, path) = (path.file().map(str::to_owned), path.to_string());
        let fault = Fault { severity, file, path, line: at.line, column: at.column, what, instead };
        let mut gathered = self.lock();
        if gathered.faults.len() >= LISTED {
            gathered.left_out += 1;
        } else if !gathered.faults.contains(&fault) {
            gathered.faults.push(fault);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line a fault: `12:5: error: web.http: is a number; write …`. With `FILE:` before it, editors jump there.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        write!(f, "{}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.instead.is_empty() {
            write!(f, "; {}", self.instead)?;
        }
        Ok(())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}

/// More than anybody mends in one go; bounds the work on hostile input.
const LISTED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_one_line_each_in_the_order_of_the_file() {
        let faults = Faults::new();
        let at = |line, column| Position { line, column };
        faults.warning(&Path::new("web.htp"), at(4, 3), "is not known", "write web.http");
        faults.error(&Path::new("issuer"), Position::default(), "is missing", "write the public URL");
        faults.error(&Path::new("issuer"), Position::default(), "is missing", "write the public URL");
        assert_eq!(
            faults.to_string(),
            "error: issuer: is missing; write the public URL\n4:3: warning: web.htp: is not known; write web.http\n"
        );
    }

    #[test]
    fn a_flood_of_faults_is_counted() {
        let faults = Faults::new();
        for line in 1..=LISTED + 5 {
            let at = Position { line: u32::try_from(line).unwrap(), column: 1 };
            faults.warning(&Path::new("x"), at, "is not known", "");
        }
        assert!(faults.is_full() && faults.has_errors());
        assert_eq!(faults.errors().last().unwrap().what, "5 more faults are not listed");
    }
}
