//! Whoever sits at this terminal, as the flows of `client` see them.

use std::time::Duration;

use ambient::Secret;
use client::{Person, Place, Question, Unasked, Visit};

use crate::browser::Browser;
use crate::terminal;

/// The terminal and the browser beside it.
pub(crate) struct Here<'a> {
    pub(crate) browser: Browser<'a>,
    /// Why nobody can be asked for anything here, if so.
    pub(crate) silent: Option<&'static str>,
    /// For how long somebody who is asked may think.
    pub(crate) patience: Duration,
}

impl Person for Here<'_> {
    fn show(&self, visit: &Visit<'_>) {
        let opens = self.browser.exists() && !matches!(visit.place, Place::ByHand);
        let url = visit.url;
        match visit.place {
            Place::Landing { port } if !opens && self.browser.is_remote() => terminal::say(&format!(
                "This machine is reached by SSH. Connect with `ssh -L {port}:localhost:{port}`, or use \
                 --grant-type=device-code, which needs no port."
            )),
            Place::Device { code, filled_in: false } => {
                terminal::say(&format!("Your code is {code}. Type it at the page."));
            }
            Place::Device { code, filled_in: true } => {
                terminal::say(&format!("Your code is {code}. The page must show the same one."));
            }
            _ => {}
        }
        let minutes = visit.within.as_secs().div_ceil(60);
        let wait = format!("waiting for up to {minutes} min");
        if opens {
            terminal::say(&format!("Opening a browser to sign in ({wait}). If none opens, visit: {url}"));
            self.browser.open(url);
        } else {
            terminal::say(&format!("To sign in, visit ({wait}): {url}"));
        }
    }

    fn ask(&self, question: &Question<'_>) -> Result<Secret<String>, Unasked> {
        if let Some(why) = self.silent {
            let (what, instead) = match question {
                Question::Username => ("a name", "give --username"),
                Question::Password { .. } => ("a password", "set OBOL_PASSWORD, or use --password=file:PATH"),
                Question::Code => {
                    ("a code", "use --grant-type=device-code, or run the command in a terminal first")
                }
            };
            return Err(Unasked(format!("{what} would have to be typed, and {why}: {instead}")));
        }
        let answer = match question {
            Question::Username => terminal::ask("Username: ", self.patience),
            Question::Password { of } => {
                let prompt = format!("Password of {}: ", terminal::one_line(of));
                terminal::ask_silently_within(&prompt, self.patience)
            }
            Question::Code => {
                terminal::ask_silently_within("Code, or the whole address of the last page: ", self.patience)
            }
        };
        answer.map(|text| Secret::from(text.as_str())).map_err(|error| Unasked(format!("{error:#}")))
    }
}
