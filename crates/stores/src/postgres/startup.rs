//! How a connection begins: TLS as configured, then proof of the password in whichever way the server asks for that keeps
//! it from others.

use ambient::Random;
use bytes::{Buf as _, BufMut as _, Bytes};
use md5::{Digest as _, Md5};
use outbound::{Dial, Link};

use super::message::{Out, cut, fault, put_text, take_text};
use super::scram::Scram;
use super::session::{PostgresSession, receive};
use crate::sql::{Address, Common, Fault, Security, Stream, Tls};

pub(super) async fn connect(
    common: &Common,
    tls: &Tls,
    dial: &Dial,
    random: &dyn Random,
) -> Result<PostgresSession, Fault> {
    let link = secured(common.connect(dial).await?, common, tls, dial).await?;
    let mut stream = Stream::new(link);
    let mut hello = Out::default();
    hello.untagged(|to| {
        to.put_u32(PROTOCOL);
        for (name, value) in [
            ("user", common.user.as_str()),
            ("database", common.database.as_str()),
            ("application_name", "obol"),
            ("client_encoding", "UTF8"),
        ] {
            put_text(to, name);
            put_text(to, value);
        }
        to.put_u8(0);
    });
    stream.send(hello.bytes()).await?;
    authenticate(&mut stream, common, random).await?;
    Ok(PostgresSession::new(stream))
}

/// A server that will not speak TLS is left, not spoken to in clear.
async fn secured(link: Link, common: &Common, tls: &Tls, dial: &Dial) -> Result<Link, Fault> {
    let Address::Tcp(host, _) = &common.address else { return Ok(link) };
    if tls.security == Security::Clear {
        return Ok(link);
    }
    let config = tls.config()?;
    let mut stream = Stream::new(link);
    let mut ask = Out::default();
    ask.untagged(|to| to.put_u32(TLS_PLEASE));
    stream.send(ask.bytes()).await?;
    match *stream.take(0, 1).await? {
        [b'S'] => {}
        [b'N'] => return Err(Fault::Unavailable("the server has no TLS; see ssl.mode".into())),
        _ => return Err(Fault::Broken("the server does not speak PostgreSQL's protocol".into())),
    }
    let Link::Plain(plain) = stream.into_link()? else {
        return Err(Fault::Broken("TLS began twice".into()));
    };
    let secured = dial.secure(host, plain, &config).await;
    secured.map(|link| Link::Tls(Box::new(link))).map_err(|error| Fault::Unavailable(error.to_string()))
}

async fn authenticate(stream: &mut Stream, common: &Common, random: &dyn Random) -> Result<(), Fault> {
    let (mut scram, mut accepted): (Option<Scram>, bool) = (None, false);
    loop {
        let (tag, mut body) = receive(stream).await?;
        match tag {
            b'R' => {}
            b'E' => return Err(fault(body)),
            b'Z' if accepted => return Ok(()),
            // Settings, the key for cancelling, notices, options it does not know.
            b'S' | b'K' | b'N' | b'v' => continue,
            _ => return Err(cut()),
        }
        let mut answer = Out::default();
        match body.try_get_u32().map_err(|_| cut())? {
            // Who began SCRAM must also end it: a server that does not know the password cannot.
            0 if scram.as_ref().is_none_or(Scram::is_mutual) => {
                accepted = true;
                continue;
            }
            // Nor does it get an easier proof, or another try.
            3 | 5 | 10 if scram.is_some() => return Err(cut()),
            3 if stream.is_private() => {
                answer.message(b'p', |to| put_text(to, common.password.expose()));
            }
            3 => return Err(refused("the password in clear, on a connection without TLS")),
            5 => {
                let proof = md5_proof(common, &body);
                answer.message(b'p', |to| put_text(to, &proof));
            }
            10 => {
                offers_scram(&mut body)?;
                let begun = Scram::begin(random);
                answer.message(b'p', |to| {
                    put_text(to, "SCRAM-SHA-256");
                    to.put_u32(u32::try_from(begun.first().len()).unwrap_or(u32::MAX));
                    to.extend_from_slice(begun.first().as_bytes());
                });
                scram = Some(begun);
            }
            11 => {
                let scram = scram.as_mut().ok_or_else(cut)?;
                let proof = scram.prove(&body, &common.password).ok_or_else(cut)?;
                answer.message(b'p', |to| to.extend_from_slice(proof.as_bytes()));
            }
            12 => {
                let scram = scram.as_mut().ok_or_else(cut)?;
                if !scram.verify(&body) {
                    return Err(Fault::Unavailable("the server does not know the password either".into()));
                }
                continue;
            }
            0 => return Err(cut()),
            other => return Err(refused(&format!("authentication of type {other}"))),
        }
        stream.send(answer.bytes()).await?;
    }
}

fn offers_scram(body: &mut Bytes) -> Result<(), Fault> {
    loop {
        match take_text(body)?.as_str() {
            "SCRAM-SHA-256" => return Ok(()),
            "" => return Err(refused("SASL without SCRAM-SHA-256")),
            _ => {}
        }
    }
}

fn refused(what: &str) -> Fault {
    Fault::Unavailable(format!("the server asks for {what}; let it use scram-sha-256"))
}

fn md5_proof(common: &Common, salt: &[u8]) -> String {
    let hex = |parts: [&[u8]; 2]| {
        let mut hash = Md5::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let stored = hex([common.password.expose().as_bytes(), common.user.as_bytes()]);
    format!("md5{}", hex([stored.as_bytes(), salt]))
}

/// 3.0
const PROTOCOL: u32 = 196_608;
/// SSLRequest.
const TLS_PLEASE: u32 = 80_877_103;
