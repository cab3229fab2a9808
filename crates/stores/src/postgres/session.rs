//! A connection in use.

use ambient::BoxFuture;
use bytes::{Buf as _, Bytes};

use super::message::{self, Out, columns, complete, fault, put_text, row};
use crate::sql::{Answer, Fault, Session, Stream, Value};

pub(super) struct PostgresSession {
    stream: Stream,
}

impl PostgresSession {
    pub(super) const fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Sends a question and hears everything until the server is ready for the next one.
    async fn ask(&mut self, question: &Out) -> Result<Answer, Fault> {
        self.stream.send(question.bytes()).await?;
        let (mut answer, mut shape, mut failed) = (Answer::default(), Vec::new(), None);
        loop {
            let (tag, body) = match receive(&mut self.stream).await {
                Ok(message) => message,
                // It hung up after it said why. What could be tried again on this connection cannot be any more.
                Err(end) => {
                    let said = failed.filter(|said| !matches!(said, Fault::Conflict(_) | Fault::Absent(_)));
                    return Err(said.unwrap_or(end));
                }
            };
            match tag {
                b'T' => shape = columns(body)?,
                b'D' => answer.rows.push(row(body, &shape)?),
                b'C' => complete(&body, &mut answer),
                b'E' => failed = Some(fault(body)),
                b'Z' => return failed.map_or(Ok(answer), Err),
                // Parsed, bound, no columns, notices, settings, an empty statement.
                b'1' | b'2' | b'n' | b'N' | b'S' | b'A' | b'I' => {}
                other => {
                    return Err(Fault::Broken(format!("the server says {:?} in between", char::from(other))));
                }
            }
        }
    }
}

impl Session for PostgresSession {
    fn run<'a>(&'a mut self, sql: &'a str, arguments: &'a [Value]) -> BoxFuture<'a, Result<Answer, Fault>> {
        Box::pin(async move { self.ask(&message::statement(sql, arguments)).await })
    }

    fn command<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut question = Out::default();
            question.message(b'Q', |to| put_text(to, sql));
            // A command may answer rows, which nobody reads.
            self.stream.send(question.bytes()).await?;
            let mut failed = None;
            loop {
                match receive(&mut self.stream).await? {
                    (b'E', body) => failed = Some(fault(body)),
                    (b'Z', _) => return failed.map_or(Ok(()), Err),
                    _ => {}
                }
            }
        })
    }
}

/// The next message: its tag and its body.
pub(super) async fn receive(stream: &mut Stream) -> Result<(u8, Bytes), Fault> {
    let mut header = stream.peek(HEADER).await?;
    let (tag, length) = (header.get_u8(), header.get_u32());
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let length = length.ok_or_else(message::cut)?;
    Ok((tag, stream.take(HEADER, length).await?))
}

/// A tag and a length.
const HEADER: usize = 5;
