//! One connection to the directory: a question at a time, each within its time, no answer longer than it should be.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use outbound::{Dial, Reach};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::ldap::{Entry, Message, Outcome, Reply, Request, Search, message_length};

use super::settings::{Security, Server};

pub(super) struct Link {
    stream: outbound::Link,
    unread: Vec<u8>,
    last_id: u32,
    clock: Arc<dyn Clock>,
}

/// What a directory is asked.
#[derive(Clone, Copy)]
pub(super) enum Question<'q> {
    /// Does this password belong to that name? An empty one is nobody's: directories take it for an anonymous visit.
    Bind {
        name: &'q str,
        password: &'q [u8],
    },
    Search(&'q Search<'q>),
}

/// What was found, and how it ended. A bind finds nothing.
pub(super) type Answered = (Vec<Entry>, Outcome);

/// The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// There is none.
    #[error("{0}")]
    Unconnected(#[from] outbound::DialError),
    /// It ended, or what came along it is no answer.
    #[error("{0}")]
    Lost(String),
    /// Nothing came.
    #[error("the directory did not answer in time")]
    Late,
}

impl Link {
    /// Connects, and begins TLS if the configuration says so.
    pub(super) async fn open(dial: &Dial, clock: &Arc<dyn Clock>, server: &Server) -> Result<Self, Broken> {
        let Server { host, port, security, tls } = server;
        let stream = match security {
            Security::Ldaps => {
                outbound::Link::Tls(Box::new(dial.tls(host, *port, Reach::Anywhere, tls).await?))
            }
            Security::None | Security::StartTls => {
                outbound::Link::Plain(dial.tcp(host, *port, Reach::Anywhere).await?)
            }
        };
        let link = Self { stream, unread: Vec::new(), last_id: 0, clock: Arc::clone(clock) };
        match security {
            Security::StartTls => link.secured(dial, server).await,
            Security::None | Security::Ldaps => Ok(link),
        }
    }

    /// RFC 4511 section 4.14. What came in clear is forgotten, and so is what somebody put behind the answer: nothing that
    /// was said before the handshake counts after it.
    async fn secured(mut self, dial: &Dial, server: &Server) -> Result<Self, Broken> {
        match self.ask(&Request::StartTls).await? {
            Reply::Extended(Outcome { code: 0, .. }) if self.unread.is_empty() => {}
            Reply::Extended(Outcome { code: 0, .. }) => {
                return Err(lost("the directory said more in clear than it was asked"));
            }
            Reply::Extended(Outcome { code, .. }) => {
                return Err(Broken::Lost(format!("the directory refuses StartTLS (code {code})")));
            }
            _ => return Err(lost("the directory did not answer to StartTLS")),
        }
        let Self { stream, unread, last_id, clock } = self;
        let outbound::Link::Plain(stream) = stream else { return Err(lost("TLS began twice")) };
        let stream = dial.secure(&server.host, stream, &server.tls).await?;
        Ok(Self { stream: outbound::Link::Tls(Box::new(stream)), unread, last_id, clock })
    }

    /// Asks, and hears everything that is answered.
    pub(super) async fn put(&mut self, question: Question<'_>) -> Result<Answered, Broken> {
        match question {
            Question::Bind { name, password } => match self.ask(&Request::Bind { name, password }).await? {
                Reply::Bound(outcome) => Ok((Vec::new(), outcome)),
                _ => Err(lost("the directory did not answer to a bind")),
            },
            Question::Search(search) => {
                let clock = Arc::clone(&self.clock);
                within(&clock, self.search(search)).await
            }
        }
    }

    /// Directories that others point to are not asked: they would be shown our password.
    async fn search(&mut self, search: &Search<'_>) -> Result<Answered, Broken> {
        let id = self.send(&Request::Search(search)).await?;
        let mut found = Vec::new();
        loop {
            match self.reply(id).await? {
                Reply::Entry(entry) if found.len() < MOST_ENTRIES => found.push(entry),
                Reply::Entry(_) => return Err(lost("a search found more than any should")),
                Reply::Searched(outcome) => return Ok((found, outcome)),
                Reply::Elsewhere | Reply::Other => {}
                Reply::Bound(_) | Reply::Extended(_) => {
                    return Err(lost("the directory did not answer to a search"));
                }
            }
        }
    }

    /// A question with one answer.
    async fn ask(&mut self, request: &Request<'_>) -> Result<Reply, Broken> {
        let clock = Arc::clone(&self.clock);
        let asking = async {
            let id = self.send(request).await?;
            self.reply(id).await
        };
        within(&clock, asking).await
    }

    async fn send(&mut self, request: &Request<'_>) -> Result<u32, Broken> {
        self.last_id = self.last_id.checked_add(1).ok_or_else(|| lost("the connection is worn out"))?;
        let raw = request.encode(self.last_id);
        let sent = async {
            self.stream.write_all(&raw).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|why| Broken::Lost(why.to_string()))?;
        Ok(self.last_id)
    }

    async fn reply(&mut self, id: u32) -> Result<Reply, Broken> {
        let message = self.message().await?;
        if message.id == id {
            return Ok(message.reply);
        }
        Err(lost(if message.id == 0 {
            "the directory hung up"
        } else {
            "the directory answers something else"
        }))
    }

    async fn message(&mut self) -> Result<Message, Broken> {
        let length = loop {
            match message_length(&self.unread, LONGEST).map_err(|why| lost(&why.to_string()))? {
                Some(length) if length <= self.unread.len() => break length,
                _ => {
                    let read = self.stream.read_buf(&mut self.unread).await;
                    if read.map_err(|why| Broken::Lost(why.to_string()))? == 0 {
                        return Err(lost("the directory closed the connection"));
                    }
                }
            }
        };
        let rest = self.unread.split_off(length);
        let raw = std::mem::replace(&mut self.unread, rest);
        Message::parse(&raw).map_err(|why| lost(&why.to_string()))
    }
}

async fn within<T>(
    clock: &Arc<dyn Clock>,
    work: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    tokio::select! {
        done = work => done,
        () = clock.sleep(ANSWERS_WITHIN) => Err(Broken::Late),
    }
}

fn lost(why: &str) -> Broken {
    Broken::Lost(why.to_owned())
}

/// For one question and all of its answer. Connecting and the handshake have [`Dial`]'s own bound.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Of one message: an entry with the attributes that are asked for.
const LONGEST: usize = 1 << 20;

/// Of one search.
const MOST_ENTRIES: usize = 10_000;
