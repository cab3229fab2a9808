//! cel-go's extension of encoders. The API server does not enable it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Cost, Function, Style, gives, row};
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Bytes, String};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("base64.encode", Style::Global, &[gives(&[Bytes], String)], Cost::Reads, |args, _| match args {
        [Value::Bytes(bytes)] => Ok(Value::from(STANDARD.encode(bytes))),
        _ => Err(mismatch(args)),
    }),
    row("base64.decode", Style::Global, &[gives(&[String], Bytes)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => {
            let engine = if text.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
            engine.decode(text.as_bytes()).map(Value::from).map_err(|_| Problem::Malformed("base64"))
        }
        _ => Err(mismatch(args)),
    }),
];
