//! One connection to a database server: whole messages out, counted bytes in.

use bytes::{Buf as _, Bytes, BytesMut};
use outbound::Link;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Fault;

/// A connection and what came along it and was not read yet.
pub(crate) struct Stream {
    link: Link,
    unread: BytesMut,
}

impl Stream {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, unread: BytesMut::new() }
    }

    /// Whether nobody on the way can listen.
    pub(crate) const fn is_private(&self) -> bool {
        !matches!(self.link, Link::Plain(_))
    }

    /// Takes the connection back to begin TLS. Nothing may have been read ahead: what was said in clear does not count
    /// after a handshake.
    pub(crate) fn into_link(self) -> Result<Link, Fault> {
        if self.unread.is_empty() {
            return Ok(self.link);
        }
        Err(Fault::Broken("the server said more in clear than it was asked".into()))
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), Fault> {
        let sent = async {
            self.link.write_all(message).await?;
            self.link.flush().await
        };
        sent.await.map_err(|error| Fault::Lost(format!("the connection broke: {error}")))
    }

    /// Waits for so many bytes and shows them, with whatever came behind.
    pub(crate) async fn peek(&mut self, length: usize) -> Result<&[u8], Fault> {
        while self.unread.len() < length {
            let read = self.link.read_buf(&mut self.unread).await;
            let read = read.map_err(|error| Fault::Lost(format!("the connection broke: {error}")))?;
            if read == 0 {
                return Err(Fault::Lost("the server closed the connection".into()));
            }
        }
        Ok(&self.unread)
    }

    /// Waits for so many bytes after a header that was peeked at, and takes them without it.
    pub(crate) async fn take(&mut self, header: usize, length: usize) -> Result<Bytes, Fault> {
        if length > LONGEST {
            return Err(Fault::Broken(format!("the server announces a message of {length} bytes")));
        }
        self.peek(header + length).await?;
        self.unread.advance(header);
        Ok(self.unread.split_to(length).freeze())
    }
}

/// Of one message; a record is much smaller.
const LONGEST: usize = 8 << 20;
