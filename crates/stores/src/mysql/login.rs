//! How a connection begins: TLS as configured, then proof of the password in whichever way the server asks for that keeps
//! it from others.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use outbound::{Dial, Link};

use super::packet::{cut, fault, framed, put_bytes, put_text, take_text};
use super::session::{MysqlSession, numbered};
use crate::sql::{Address, Common, Fault, Security, Stream, Tls};

pub(super) async fn connect(common: &Common, tls: &Tls, dial: &Dial) -> Result<MysqlSession, Fault> {
    let mut stream = Stream::new(common.connect(dial).await?);
    let (mut sequence, greeting) = numbered(&mut stream).await?;
    let greeting = Greeting::parse(greeting)?;
    let mut wanted = WANTED;
    if let Address::Tcp(host, _) = &common.address
        && tls.security != Security::Clear
    {
        if greeting.able & TLS == 0 {
            return Err(Fault::Unavailable("the server has no TLS; see ssl.mode".into()));
        }
        wanted |= TLS;
        sequence = sequence.wrapping_add(1);
        stream.send(&framed(sequence, |to| able(to, wanted))).await?;
        let config = tls.config()?;
        let Link::Plain(plain) = stream.into_link()? else {
            return Err(Fault::Broken("TLS began twice".into()));
        };
        let secured = dial.secure(host, plain, &config).await;
        let link = secured.map_err(|error| Fault::Unavailable(error.to_string()))?;
        stream = Stream::new(Link::Tls(Box::new(link)));
    }
    let first = proof(&greeting.plugin, common, &greeting.nonce);
    // A server that asks in a way we do not know is told of one that we do; it may ask again.
    let (plugin, first) = match first {
        Some(first) => (greeting.plugin.as_str(), first),
        None => (NATIVE, Vec::new()),
    };
    let hello = framed(sequence.wrapping_add(1), |to| {
        able(to, wanted);
        put_text(to, &common.user);
        put_bytes(to, &first);
        put_text(to, &common.database);
        put_text(to, plugin);
    });
    stream.send(&hello).await?;
    finish(&mut stream, common, plugin.to_owned()).await?;
    Ok(MysqlSession::new(stream))
}

/// What a server says first.
struct Greeting {
    able: u32,
    plugin: String,
    nonce: Vec<u8>,
}

impl Greeting {
    fn parse(mut body: Bytes) -> Result<Self, Fault> {
        match body.try_get_u8().map_err(|_| cut())? {
            10 => {}
            0xff => return Err(fault(body)),
            _ => return Err(Fault::Broken("the server does not speak MySQL's protocol".into())),
        }
        take_text(&mut body)?;
        if body.len() < 31 {
            return Err(cut());
        }
        body.advance(4);
        let mut nonce = body.split_to(8).to_vec();
        body.advance(1);
        let low = u32::from(body.get_u16_le());
        body.advance(3);
        let able = low | (u32::from(body.get_u16_le()) << 16);
        body.advance(11);
        // Twelve bytes and a zero.
        let rest = body.split_to(body.len().min(13));
        nonce.extend(rest.iter().take(12));
        let plugin = take_text(&mut body).unwrap_or_default();
        if able & DEMANDED != DEMANDED || nonce.len() != 20 {
            return Err(Fault::Unavailable("the server is older than MySQL 5.7 and MariaDB 10".into()));
        }
        Ok(Self { able, plugin, nonce })
    }
}

/// What follows until the server says yes or no.
async fn finish(stream: &mut Stream, common: &Common, mut plugin: String) -> Result<(), Fault> {
    for _ in 0..MOST_TURNS {
        let (sequence, mut body) = numbered(stream).await?;
        let answer = match body.try_get_u8().map_err(|_| cut())? {
            0 => return Ok(()),
            0xff => return Err(fault(body)),
            // It asks in another way.
            0xfe => {
                plugin = take_text(&mut body)?;
                let nonce = body.strip_suffix(b"\0").unwrap_or(&body);
                proof(&plugin, common, nonce).ok_or_else(|| refused(&plugin))?
            }
            // caching_sha2_password: 3 is yes, 4 wants the password itself.
            1 if plugin == CACHING && body.first() == Some(&3) => continue,
            1 if plugin == CACHING && body.first() == Some(&4) => clear(common, stream.is_private())?,
            _ => return Err(refused(&plugin)),
        };
        stream.send(&framed(sequence.wrapping_add(1), |to| to.extend_from_slice(&answer))).await?;
    }
    Err(cut())
}

/// `None`: not a way that we know.
fn proof(plugin: &str, common: &Common, nonce: &[u8]) -> Option<Vec<u8>> {
    let password = common.password.expose().as_bytes();
    Some(match plugin {
        _ if password.is_empty() => Vec::new(),
        NATIVE => {
            let hash = |parts: &[&[u8]]| digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat());
            let once = hash(&[password]);
            let twice = hash(&[once.as_ref()]);
            masked(once.as_ref(), hash(&[nonce, twice.as_ref()]).as_ref())
        }
        CACHING => {
            let hash = |parts: &[&[u8]]| digest(&SHA256, &parts.concat());
            let once = hash(&[password]);
            let twice = hash(&[once.as_ref()]);
            masked(once.as_ref(), hash(&[twice.as_ref(), nonce]).as_ref())
        }
        _ => return None,
    })
}

fn masked(secret: &[u8], mask: &[u8]) -> Vec<u8> {
    secret.iter().zip(mask).map(|(secret, mask)| secret ^ mask).collect()
}

fn clear(common: &Common, private: bool) -> Result<Vec<u8>, Fault> {
    if !private {
        return Err(Fault::Unavailable(
            "the server asks for the password in clear, on a connection without TLS; see ssl.mode".into(),
        ));
    }
    let mut password = common.password.expose().clone().into_bytes();
    password.push(0);
    Ok(password)
}

fn refused(plugin: &str) -> Fault {
    Fault::Unavailable(format!(
        "the server asks for {}; let the user have {NATIVE} or {CACHING}",
        crate::sql::line(plugin)
    ))
}

/// What we can, and the largest packet; the rest is filling.
fn able(to: &mut BytesMut, wanted: u32) {
    to.put_u32_le(wanted);
    to.put_u32_le(1 << 24);
    to.put_u8(UTF8MB4);
    to.put_bytes(0, 23);
}

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

const FOUND_ROWS: u32 = 2;
const WITH_DATABASE: u32 = 8;
const PROTOCOL_41: u32 = 0x200;
const TLS: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGINS: u32 = 0x8_0000;
const LONG_PROOFS: u32 = 0x20_0000;

const DEMANDED: u32 = PROTOCOL_41 | SECURE_CONNECTION | PLUGINS;
/// Rows are counted as they are found, not as they are changed.
const WANTED: u32 =
    DEMANDED | FOUND_ROWS | WITH_DATABASE | TRANSACTIONS | LONG_PROOFS | LONG_PASSWORD | LONG_FLAGS;
const LONG_PASSWORD: u32 = 1;
const LONG_FLAGS: u32 = 4;

/// utf8mb4_general_ci, which both servers know.
const UTF8MB4: u8 = 45;
/// Of a login.
const MOST_TURNS: usize = 8;
