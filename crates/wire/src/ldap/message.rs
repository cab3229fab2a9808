//! What is asked of a directory and what it answers (RFC 4511 section 4).

use zeroize::Zeroizing;

use super::ber::{
    BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, SET, constructed, element, number,
};
use super::filter::Filter;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// Section 4.2, by name and password. An empty password asks for an anonymous connection, which is granted.
    Bind {
        /// A distinguished name, or empty.
        name: &'a str,
        /// In clear.
        password: &'a [u8],
    },
    /// Section 4.5.
    Search(&'a Search<'a>),
    /// Section 4.14.
    StartTls,
    /// Section 4.3: the connection ends, without an answer.
    Unbind,
}

/// A search.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Where it begins.
    pub base: &'a str,
    /// How far down it goes.
    pub scope: Scope,
    /// What is looked for.
    pub filter: &'a Filter,
    /// What is wanted of it. Empty would mean everything, and is sent as nothing (section 4.5.1.8).
    pub attributes: &'a [String],
    /// The directory stops after so many; 0: no limit of ours.
    pub at_most: u32,
    /// The directory stops after so many seconds.
    pub seconds: u32,
}

/// How far down a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base itself.
    Base,
    /// What stands directly below the base.
    One,
    /// The base and all below it.
    Sub,
}

/// One message of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which request it answers; 0: none.
    pub id: u32,
    /// The answer.
    pub reply: Reply,
}

/// What a directory answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a bind.
    Bound(Outcome),
    /// To a search: something found.
    Entry(Entry),
    /// To a search: others may know more. They are not asked.
    Elsewhere,
    /// To a search: that was all.
    Searched(Outcome),
    /// To an extended request, or (id 0) that the directory hangs up.
    Extended(Outcome),
    /// Something that may be passed over.
    Other,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Section 4.1.9; 0 is success.
    pub code: u32,
    /// The directory's words. May say more than a stranger should hear.
    pub text: String,
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its distinguished name.
    pub dn: String,
    /// Its attributes, as they came.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Request<'_> {
    /// The message to send.
    pub fn encode(&self, id: u32) -> Zeroizing<Vec<u8>> {
        let operation = match self {
            Self::Bind { name, password } => {
                let secret = Zeroizing::new(element(0x80, password));
                let head = [number(INTEGER, 3), element(OCTETS, name.as_bytes())].concat();
                Zeroizing::new(element(0x60, &Zeroizing::new([&head[..], &secret].concat())))
            }
            Self::Search(search) => Zeroizing::new(search.encode()),
            Self::StartTls => Zeroizing::new(element(0x77, &element(0x80, START_TLS))),
            Self::Unbind => Zeroizing::new(element(0x42, b"")),
        };
        let body = Zeroizing::new([&number(INTEGER, id)[..], &operation].concat());
        Zeroizing::new(element(SEQUENCE, &body))
    }
}

impl Search<'_> {
    fn encode(&self) -> Vec<u8> {
        let scope = match self.scope {
            Scope::Base => 0,
            Scope::One => 1,
            Scope::Sub => 2,
        };
        let mut attributes: Vec<_> =
            self.attributes.iter().map(|name| element(OCTETS, name.as_bytes())).collect();
        if attributes.is_empty() {
            attributes.push(element(OCTETS, b"1.1"));
        }
        constructed(
            0x63,
            &[
                element(OCTETS, self.base.as_bytes()),
                number(ENUMERATED, scope),
                number(ENUMERATED, 0),
                number(INTEGER, self.at_most),
                number(INTEGER, self.seconds),
                element(BOOLEAN, &[0]),
                self.filter.0.clone(),
                constructed(SEQUENCE, &attributes),
            ],
        )
    }
}

impl Message {
    /// Reads one whole message.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        let mut message = Reader(Reader(raw).expect(SEQUENCE)?);
        let id = message.number(INTEGER)?;
        let (tag, content) = message.next()?;
        let reply = match tag {
            0x61 => Reply::Bound(Outcome::read(content)?),
            0x64 => Reply::Entry(Entry::read(content)?),
            0x65 => Reply::Searched(Outcome::read(content)?),
            0x73 => Reply::Elsewhere,
            0x78 => Reply::Extended(Outcome::read(content)?),
            _ => Reply::Other,
        };
        Ok(Self { id, reply })
    }
}

impl Outcome {
    fn read(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(content);
        let code = reader.number(ENUMERATED)?;
        reader.expect(OCTETS)?;
        let text = String::from_utf8_lossy(reader.expect(OCTETS)?).into_owned();
        Ok(Self { code, text })
    }
}

impl Entry {
    fn read(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(content);
        let dn = text(reader.expect(OCTETS)?)?;
        let mut listed = Reader(reader.expect(SEQUENCE)?);
        let mut attributes = Vec::new();
        while !listed.is_empty() {
            let mut one = Reader(listed.expect(SEQUENCE)?);
            let name = text(one.expect(OCTETS)?)?;
            let mut held = Reader(one.expect(SET)?);
            let mut values = Vec::new();
            while !held.is_empty() {
                values.push(held.expect(OCTETS)?.to_vec());
            }
            attributes.push((name, values));
        }
        Ok(Self { dn, attributes })
    }

    /// The values of an attribute. Names have no case (RFC 4512 section 2.5).
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values)
    }
}

fn text(raw: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(raw.to_vec()).map_err(|_| Malformed("a name is not UTF-8"))
}

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_have_the_bytes_of_the_protocol() {
        let bind = Request::Bind { name: "cn=a", password: b"pw" }.encode(1);
        assert_eq!(**bind, *b"\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw");
        assert_eq!(**Request::Unbind.encode(2), *b"\x30\x05\x02\x01\x02\x42\x00");
        let tls = Request::StartTls.encode(3);
        assert_eq!(**tls, *b"\x30\x1d\x02\x01\x03\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
        let filter = Filter::equals("uid", b"a");
        let search = Search {
            base: "dc=x",
            scope: Scope::Sub,
            filter: &filter,
            attributes: &["cn".into()],
            at_most: 2,
            seconds: 9,
        };
        let want = b"\x30\x2a\x02\x01\x04\x63\x25\x04\x04dc=x\x0a\x01\x02\x0a\x01\x00\x02\x01\x02\x02\x01\x09\x01\x01\x00\xa3\x08\x04\x03uid\x04\x01a\x30\x04\x04\x02cn";
        assert_eq!(**Request::Search(&search).encode(4), *want);
    }

    #[test]
    fn answers_are_read() {
        let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00";
        let outcome = Outcome { code: 49, text: String::new() };
        assert_eq!(Message::parse(bound), Ok(Message { id: 1, reply: Reply::Bound(outcome) }));
        let entry =
            b"\x30\x1a\x02\x01\x02\x64\x15\x04\x04cn=a\x30\x0d\x30\x0b\x04\x02CN\x31\x05\x04\x01a\x04\x00";
        let Reply::Entry(entry) = Message::parse(entry).unwrap().reply else { panic!("no entry") };
        assert_eq!((entry.dn.as_str(), entry.values("cn")), ("cn=a", &[b"a".to_vec(), Vec::new()][..]));
        assert!(entry.values("sn").is_empty());
        // Active Directory says goodbye with an element behind the answer.
        let goodbye = b"\x30\x10\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00\x8a\x02xx";
        assert!(matches!(Message::parse(goodbye), Ok(Message { id: 0, reply: Reply::Extended(_) })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Message::parse(&raw);
            let whole = [&[0x30, u8::try_from(raw.len() + 3).unwrap(), 2, 1, 1][..], &raw].concat();
            let _ = Message::parse(&whole);
        }
    }

    #[test]
    fn nesting_takes_no_stack() {
        let mut raw = vec![4, 0];
        for _ in 0..50_000 {
            raw = element(0x64, &raw[..raw.len().min(60_000)]);
        }
        let whole = constructed(SEQUENCE, &[number(INTEGER, 1), raw]);
        assert!(Message::parse(&whole).is_err());
    }
}
