//! Requests at a constant rate, whatever the server does: what an answer took is counted from the moment at which its
//! request was due, not from when it could be sent. A generator that waits for answers would leave out exactly the
//! requests that had to wait (coordinated omission).
//!
//! One thread spins over connections that do not block, since sleeping is not exact enough for microseconds.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What arrives.
pub(crate) struct Arrivals<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) request: &'a [u8],
    pub(crate) per_second: f64,
    pub(crate) span: Duration,
    /// More requests than this at once wait here, and their waiting counts.
    pub(crate) connections: u32,
}

/// What became of it; all sorted.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From due to answered.
    pub(crate) latency: Vec<Duration>,
    /// From due to sent, where a connection was free: what this generator itself adds to `latency`.
    pub(crate) lateness: Vec<Duration>,
}

impl Arrivals<'_> {
    /// Sends them all and waits for all answers.
    pub(crate) fn run(&self) -> Result<Seen> {
        let mut idle = (0..self.connections).map(|_| Line::open(self.address)).collect::<Result<Vec<_>>>()?;
        let (mut busy, mut seen) = (Vec::<Line>::with_capacity(idle.len()), Seen::default());
        let mut dues = dues(self.per_second, self.span).peekable();
        let (began, mut none_free) = (Instant::now(), Duration::ZERO);
        while dues.peek().is_some() || !busy.is_empty() {
            let now = began.elapsed();
            if now > self.span + PATIENCE {
                bail!("{} requests were not answered in time", busy.len() + dues.count());
            }
            while let Some(mut line) = idle.pop() {
                let Some(due) = dues.next_if(|due| *due <= now) else {
                    idle.push(line);
                    break;
                };
                if due >= none_free {
                    seen.lateness.push(now.saturating_sub(due));
                }
                line.send(self.request, due)?;
                busy.push(line);
            }
            if idle.is_empty() {
                none_free = now;
            }
            for line in busy.extract_if(.., |line| line.poll()) {
                seen.latency.push(began.elapsed().saturating_sub(line.due));
                idle.push(line.answered()?);
            }
        }
        seen.latency.sort_unstable();
        seen.lateness.sort_unstable();
        Ok(seen)
    }
}

/// One request on a connection of its own; its status.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Result<u16> {
    let mut line = Line::open(address)?;
    line.stream.set_nonblocking(false)?;
    line.stream.set_read_timeout(Some(PATIENCE))?;
    line.send(request, Duration::ZERO)?;
    while !line.poll() {}
    answer(&line.answer).context("the connection broke off")
}

/// One connection that is kept.
struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
    broken: bool,
    /// When the request under way was due.
    due: Duration,
}

impl Line {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096), broken: false, due: Duration::ZERO })
    }

    fn send(&mut self, request: &[u8], due: Duration) -> Result<()> {
        self.answer.clear();
        self.due = due;
        self.stream.write_all(request).context("a request cannot be sent")
    }

    /// Reads what has come; whether there is nothing left to wait for.
    fn poll(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.stream.read(&mut part) {
            Ok(0) => self.broken = true,
            Ok(length) => self.answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.broken = true,
        }
        self.broken || answer(&self.answer).is_some()
    }

    fn answered(self) -> Result<Self> {
        match answer(&self.answer) {
            Some(200) if !self.broken => Ok(self),
            Some(status) => bail!("a request was answered with {status}"),
            None => bail!("a connection broke off"),
        }
    }
}

/// When each request is due.
fn dues(per_second: f64, span: Duration) -> impl Iterator<Item = Duration> {
    let gap = Duration::from_secs_f64(1.0 / per_second.max(1.0));
    (0u32..).map(move |n| gap * n).take_while(move |due| *due < span)
}

/// The status of an answer that is complete. It must say its length.
fn answer(raw: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(raw);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut members = lines.filter_map(|line| line.split_once(':'));
    let (_, length) = members.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    (body.len() >= length.trim().parse().ok()?).then_some(status)
}

/// For answers that are under way when the last request has been sent.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(answer(whole), Some(200));
        for short in 0..whole.len() {
            assert_eq!(answer(&whole[..short]), None, "{short}");
        }
        assert_eq!(answer(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), Some(503));
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn requests_are_due_at_a_constant_rate() {
        let due: Vec<_> = dues(4.0, Duration::from_secs(1)).map(|due| due.as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750]);
    }

    #[test]
    fn every_request_is_answered_and_counted_and_a_refusal_is_an_error() {
        for (status, good) in [("200 OK", true), ("503 Busy", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let serving = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4];
                while stream.read_exact(&mut request).is_ok() {
                    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
            let span = Duration::from_millis(20);
            let arrivals = Arrivals { address, request: b"ping", per_second: 1000.0, span, connections: 1 };
            let seen = arrivals.run();
            assert_eq!(seen.map(|seen| seen.latency.len()).ok(), good.then_some(20));
            serving.join().unwrap();
        }
    }
}
