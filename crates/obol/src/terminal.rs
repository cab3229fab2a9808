//! The person at the keyboard: prompts go to stderr, since stdout carries results.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

/// Whether somebody can be asked.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// One line to whoever watches. Control characters in it (a server's words) drive no terminal.
pub(crate) fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{}", one_line(words));
}

/// Text that others wrote must not fake further lines, drive the terminal or turn its text around.
pub(crate) fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| if client::is_hidden(c) { ' ' } else { c }).collect::<String>();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asks for a line that is not shown while it is typed.
pub(crate) fn ask_silently(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    // Silent before the prompt: whoever answers it quickly must not see the answer.
    let silence = Silence::begin()?;
    let line = read_line(prompt, None);
    drop(silence);
    let _ = writeln!(std::io::stderr());
    line
}

/// The same, and gives up when nobody answers.
pub(crate) fn ask_silently_within(prompt: &str, patience: Duration) -> anyhow::Result<Zeroizing<String>> {
    let silence = Silence::begin()?;
    let line = read_line(prompt, Some(patience));
    drop(silence);
    let _ = writeln!(std::io::stderr());
    line
}

/// Asks for a line, and gives up when nobody answers.
pub(crate) fn ask(prompt: &str, patience: Duration) -> anyhow::Result<Zeroizing<String>> {
    read_line(prompt, Some(patience))
}

fn read_line(prompt: &str, patience: Option<Duration>) -> anyhow::Result<Zeroizing<String>> {
    let mut stderr = std::io::stderr();
    let mut line = Zeroizing::new(String::new());
    write!(stderr, "{prompt}").and_then(|()| stderr.flush()).context("cannot prompt")?;
    if let Some(patience) = patience {
        await_line(patience)?;
    }
    // Of a terminal, one read is one line, ended by whatever ends lines there.
    let mut stdin = std::io::stdin().lock();
    let typed = stdin.fill_buf().context("cannot read from the terminal")?;
    let length = typed.len();
    line.push_str(std::str::from_utf8(typed).context("what was typed is no text")?);
    stdin.consume(length);
    if line.ends_with(INTERRUPT) {
        bail!("interrupted");
    }
    if line.is_empty() {
        bail!("nothing was typed");
    }
    Ok(without_line_end(&line))
}

/// A terminal is readable once a whole line was typed.
fn await_line(patience: Duration) -> anyhow::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = std::io::stdin();
    let span = Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&span));
    if ready.context("cannot wait for the terminal")? == 0 {
        bail!("nothing was typed within {} s", patience.as_secs());
    }
    Ok(())
}

/// Reads standard input whole, without the line end that `echo` and editors add.
pub(crate) fn read_piped(most: u64) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(most + 1).read_to_string(&mut text);
    let read = read.context("standard input cannot be read as text")?;
    if u64::try_from(read).is_ok_and(|read| read > most) {
        bail!("standard input is longer than {most} bytes");
    }
    Ok(without_line_end(&text))
}

/// Several lines of our own for people, on stderr.
pub(crate) fn tell(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{words}");
}

fn without_line_end(text: &str) -> Zeroizing<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// The terminal without echo, until dropped.
struct Silence(rustix::termios::Termios);

impl Silence {
    fn begin() -> anyhow::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).context("cannot silence the terminal")?;
        let mut silent = before.clone();
        // An interrupt would end the process and leave the terminal silent: here it ends the line instead.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOL] = u8::try_from(INTERRUPT).unwrap_or(3);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)
            .context("cannot silence the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Ctrl-C.
const INTERRUPT: char = '\u{3}';
