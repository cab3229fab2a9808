//! Values of any shape as JSON, as Dex's way from YAML to JSON makes it: claims in a policy's tests, free parameters.

use serde_json::{Map, Number, Value as Json};

use crate::field::Field;
use crate::node::{Entry, Node, Value};
use crate::read::{Kind, Read};
use crate::scalar::Resolved;

impl Read for Json {
    const KIND: Kind = Kind::Any;
    fn read(field: &Field<'_>) -> Option<Self> {
        let json = convert(field.node());
        if json.is_none() {
            field.error("holds a number that JSON has not", "put it in quotes");
        }
        json
    }
}

/// Recursion is bounded by the parser.
fn convert(node: &Node) -> Option<Json> {
    Some(match &node.value {
        Value::List(items) => Json::Array(items.iter().map(convert).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let pair = |e: &Entry| Some((e.key.to_string(), convert(&e.node)?));
            Json::Object(entries.iter().map(pair).collect::<Option<Map<_, _>>>()?)
        }
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Json::Null,
            Resolved::Bool(value) => Json::Bool(value),
            Resolved::Integer(value) => Json::Number(Number::from_i128(value)?),
            Resolved::Float(value) => Json::Number(whole(value).or_else(|| Number::from_f64(value))?),
            Resolved::Text => Json::String(scalar.text.clone()),
        },
    })
}

/// `1e3` is 1000 once Go has written it.
fn whole(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits, checked here")]
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(Number::from(value as i64))
}
