//! A connection in use. Statements are prepared when they are first run and then kept, by the server too.

use std::collections::HashMap;

use ambient::BoxFuture;
use bytes::{Buf as _, BufMut as _, Bytes};

use super::packet::{self, cut, execute, fault, framed, is_number, row, take_length};
use crate::sql::{Answer, Fault, Session, Stream, Value};

pub(super) struct MysqlSession {
    stream: Stream,
    prepared: HashMap<String, u32>,
}

impl MysqlSession {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, prepared: HashMap::new() }
    }

    async fn statement(&mut self, sql: &str) -> Result<u32, Fault> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(*statement);
        }
        let question = framed(0, |to| {
            to.put_u8(0x16);
            to.extend_from_slice(sql.as_bytes());
        });
        self.stream.send(&question).await?;
        let mut ok = receive(&mut self.stream).await?;
        match ok.try_get_u8().map_err(|_| cut())? {
            0 => {}
            0xff => return Err(fault(ok)),
            _ => return Err(cut()),
        }
        let statement = ok.try_get_u32_le().map_err(|_| cut())?;
        let columns = ok.try_get_u16_le().map_err(|_| cut())?;
        let arguments = ok.try_get_u16_le().map_err(|_| cut())?;
        // What they look like is said again with each answer.
        for count in [arguments, columns] {
            if count > 0 {
                self.skip(usize::from(count) + 1).await?;
            }
        }
        self.prepared.insert(sql.to_owned(), statement);
        Ok(statement)
    }

    async fn skip(&mut self, packets: usize) -> Result<(), Fault> {
        for _ in 0..packets {
            receive(&mut self.stream).await?;
        }
        Ok(())
    }

    /// What a statement answers: a count, or rows.
    async fn answer(&mut self) -> Result<Answer, Fault> {
        let mut first = receive(&mut self.stream).await?;
        match first.first() {
            Some(0) => {
                first.advance(1);
                return Ok(Answer { changed: take_length(&mut first)?, rows: Vec::new() });
            }
            Some(0xff) => return Err(fault(first.split_off(1))),
            _ => {}
        }
        let count = take_length(&mut first)?;
        if count > MOST_COLUMNS {
            return Err(cut());
        }
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(is_number(receive(&mut self.stream).await?)?);
        }
        self.skip(1).await?;
        let mut rows = Vec::new();
        loop {
            let mut packet = receive(&mut self.stream).await?;
            match packet.first() {
                Some(0) => rows.push(row(packet, &columns)?),
                Some(0xfe) => return Ok(Answer { changed: 0, rows }),
                Some(0xff) => return Err(fault(packet.split_off(1))),
                _ => return Err(cut()),
            }
        }
    }
}

impl Session for MysqlSession {
    fn run<'a>(&'a mut self, sql: &'a str, arguments: &'a [Value]) -> BoxFuture<'a, Result<Answer, Fault>> {
        Box::pin(async move {
            let statement = self.statement(sql).await?;
            let question = framed(0, |to| execute(to, statement, arguments));
            self.stream.send(&question).await?;
            self.answer().await
        })
    }

    fn command<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let question = framed(0, |to| {
                to.put_u8(3);
                to.extend_from_slice(sql.as_bytes());
            });
            self.stream.send(&question).await?;
            self.answer().await.map(drop)
        })
    }
}

/// The body of the next packet.
pub(super) async fn receive(stream: &mut Stream) -> Result<Bytes, Fault> {
    numbered(stream).await.map(|(_, body)| body)
}

/// With its sequence number, which the answer to it goes on from.
pub(super) async fn numbered(stream: &mut Stream) -> Result<(u8, Bytes), Fault> {
    let mut header = stream.peek(packet::HEADER).await?;
    let (length, sequence) = (header.get_uint_le(3), header.get_u8());
    if length == packet::LONGEST {
        return Err(Fault::Broken("the server's message is too long".into()));
    }
    let length = usize::try_from(length).map_err(|_| cut())?;
    Ok((sequence, stream.take(packet::HEADER, length).await?))
}

/// Nothing here asks for more; each costs memory in every row.
const MOST_COLUMNS: u64 = 16;
