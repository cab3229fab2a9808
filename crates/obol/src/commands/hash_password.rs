//! `obol hash-password`: bcrypt for `staticPasswords`. A password never stands on the command line, where every
//! process of the machine can read it.

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

use crate::door::Door;
use crate::terminal;

/// Hash a password with bcrypt, for `hash` in `staticPasswords`.
///
/// The password is asked for without echo, or read from standard input if that is not a terminal (one line feed at
/// its end is not part of it).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol hash-password
  printf %s \"$PASSWORD\" | obol hash-password --cost 12")]
pub(crate) struct Args {
    /// How costly a guess is: each step doubles it.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(10..=16))]
    cost: u32,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let password = read_password()?;
        ensure!(!password.is_empty(), "the password is empty: type one, or pipe it to standard input");
        ensure!(
            password.len() <= LONGEST && !password.contains('\0'),
            "bcrypt reads at most {LONGEST} bytes and no NUL: choose a shorter password"
        );
        door.print(&bcrypt::hash(password.as_str(), self.cost).context("cannot hash the password")?)
    }
}

fn read_password() -> anyhow::Result<Zeroizing<String>> {
    if !terminal::is_interactive() {
        return terminal::read_piped(LONGEST_PIPED);
    }
    let password = terminal::ask_silently("Password: ")?;
    ensure!(
        terminal::ask_silently("Again: ")? == password,
        "the two passwords differ: run the command again"
    );
    Ok(password)
}

/// What comes after it, bcrypt ignores or refuses.
const LONGEST: usize = 72;
const LONGEST_PIPED: u64 = 4096;
