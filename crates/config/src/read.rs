//! Types that can be read from a value. A crate adds its own by implementing [`Read`] for its sections.

use std::collections::BTreeMap;
use std::time::Duration;

use ambient::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::duration::parse_duration;
use crate::field::{Field, Section};
use crate::scalar::Resolved;

/// Something that can be read from a configuration.
pub trait Read: Sized {
    /// What the reference page and the schema call it.
    const KIND: Kind;

    /// Reads it. Whoever gives `None` has written down why.
    fn read(field: &Field<'_>) -> Option<Self>;
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// Text that is not shown.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A Go duration.
    Duration,
    /// An absolute URL.
    Url,
    /// Bytes in standard base64.
    Base64,
    /// One of a few words.
    Word,
    /// Keys of its own.
    Section,
    /// A list.
    List(&'static Self),
    /// Keys that the user chooses.
    Map(&'static Self),
    /// Any value.
    Any,
    /// Accepted, without effect yet.
    Unsupported,
}

impl Read for String {
    const KIND: Kind = Kind::String;
    fn read(field: &Field<'_>) -> Option<Self> {
        field.string()
    }
}

impl Read for Secret<String> {
    const KIND: Kind = Kind::Secret;
    fn read(field: &Field<'_>) -> Option<Self> {
        field.secret_string().map(Self::new)
    }
}

impl Read for bool {
    const KIND: Kind = Kind::Bool;
    fn read(field: &Field<'_>) -> Option<Self> {
        match field.scalar().map(|scalar| (scalar.resolve(), scalar)) {
            Some((Resolved::Bool(value), _)) => return Some(value),
            Some((Resolved::Text, scalar)) if matches!(scalar.text.as_str(), "true" | "false") => {
                field.wrong("a boolean", format!("write {} without quotes", scalar.text));
            }
            _ => field.wrong("a boolean", "write true or false"),
        }
        None
    }
}

macro_rules! read_integers {
    ($($integer:ty),*) => {$(
        impl Read for $integer {
            const KIND: Kind = Kind::Integer;
            fn read(field: &Field<'_>) -> Option<Self> {
                let value = integer(field).and_then(|value| Self::try_from(value).ok());
                if value.is_none() {
                    let range = format!("write a whole number from {} to {}", Self::MIN, Self::MAX);
                    field.error(format!("is {}", field.shown()), range);
                }
                value
            }
        }
    )*};
}
read_integers!(u16, u32, u64, i64, usize);

/// Whole floats count, as they do once Go has written them as JSON.
fn integer(field: &Field<'_>) -> Option<i128> {
    match field.scalar()?.resolve() {
        Resolved::Integer(value) => Some(value),
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits, checked here")]
        Resolved::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i128),
        _ => None,
    }
}

impl Read for Duration {
    const KIND: Kind = Kind::Duration;
    fn read(field: &Field<'_>) -> Option<Self> {
        let example = "write it as 1h30m, 15m or 300ms";
        if let Some(Resolved::Integer(_) | Resolved::Float(_)) = field.scalar().map(|scalar| scalar.resolve())
        {
            field.error("is a number without a unit", example);
            return None;
        }
        let text = field.string()?;
        parse_duration(&text)
            .map_err(|error| field.error(format!("is {}, which {error}", field.shown()), example))
            .ok()
    }
}

/// An absolute `http` or `https` URL with a host. Keeps the text as written, since issuers are compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    url: Url,
}

impl HttpUrl {
    /// Reads a text; the error completes the sentence "`text` …".
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let url = Url::parse(&text).map_err(|error| format!("is not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(String::from("is neither http nor https"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(String::from("has no host"));
        }
        Ok(Self { text, url })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As understood.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl Read for HttpUrl {
    const KIND: Kind = Kind::Url;
    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        match Self::new(text) {
            Ok(url) => Some(url),
            Err(what) => {
                field.error(format!("is {}, which {what}", field.shown()), "write https://host/path");
                None
            }
        }
    }
}

impl Read for Url {
    const KIND: Kind = Kind::Url;
    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        Self::parse(&text)
            .map_err(|error| {
                field.error(
                    format!("is {}, which is not a URL ({error})", field.shown()),
                    "write scheme://host/path",
                );
            })
            .ok()
    }
}

/// Bytes that stand in the file as standard base64 (Go's `[]byte`); line breaks are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Read for Base64 {
    const KIND: Kind = Kind::Base64;
    fn read(field: &Field<'_>) -> Option<Self> {
        let text: String = field.string()?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let bytes = STANDARD.decode(text).ok();
        if bytes.is_none() {
            field.error("is not base64", "encode the bytes with `base64 -w0`, padding included");
        }
        bytes.map(Self)
    }
}

/// Elements that cannot be read are left out; their faults are written down.
impl<T: Read> Read for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);
    fn read(field: &Field<'_>) -> Option<Self> {
        Some(field.elements()?.iter().filter_map(T::read).collect())
    }
}

/// Values that cannot be read are left out; their faults are written down.
impl<T: Read> Read for BTreeMap<String, T> {
    const KIND: Kind = Kind::Map(&T::KIND);
    fn read(field: &Field<'_>) -> Option<Self> {
        Some(field.entries()?.into_iter().filter_map(|(key, value)| Some((key, T::read(&value)?))).collect())
    }
}

impl Read for Section {
    const KIND: Kind = Kind::Section;
    fn read(field: &Field<'_>) -> Option<Self> {
        Some(field.section())
    }
}
