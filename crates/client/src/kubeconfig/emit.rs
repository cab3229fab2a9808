//! Our entries as YAML in block style. Whatever another reader could take for something else is quoted as in JSON.

use std::fmt::Write as _;

use serde_json::Value;

/// One item of a sequence, `name` first, as complete lines.
pub(super) fn item(item: &Value, indent: usize, end: &str) -> String {
    let mut out = String::new();
    let inside = indent + 2;
    let members = item.as_object().into_iter().flatten();
    let (first, rest): (Vec<_>, Vec<_>) = members.partition(|(key, _)| *key == "name");
    for (at, (key, value)) in first.into_iter().chain(rest).enumerate() {
        let lead = if at == 0 { format!("{}- ", " ".repeat(indent)) } else { " ".repeat(inside) };
        member(&mut out, &lead, key, value, inside, end);
    }
    out
}

fn member(out: &mut String, lead: &str, key: &str, value: &Value, indent: usize, end: &str) {
    let _ = write!(out, "{lead}{}:", scalar(key));
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push_str(end);
            for (key, value) in members {
                member(out, &" ".repeat(indent + 2), key, value, indent + 2, end);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push_str(end);
            for item in items {
                let _ = write!(out, "{}- {}{end}", " ".repeat(indent), inline(item));
            }
        }
        other => {
            let _ = write!(out, " {}{end}", inline(other));
        }
    }
}

/// Texts plain where that is safe; everything else as JSON, which is YAML.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text as a scalar.
pub(super) fn scalar(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/';
    let mut letters = text.chars();
    let safe_start = match (letters.next(), letters.next()) {
        (Some('-'), Some('-')) => text.chars().nth(2).is_some_and(begins),
        (Some(first), _) => begins(first),
        _ => false,
    };
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-=@,:+~".contains(c);
    let ambiguous = AMBIGUOUS.contains(&text.to_ascii_lowercase().as_str());
    if safe_start && text.chars().all(safe) && !text.ends_with(':') && !ambiguous {
        return text.to_owned();
    }
    Value::String(text.to_owned()).to_string()
}

/// What YAML 1.1 takes for something else than a text.
const AMBIGUOUS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for plain in ["obol", "https://o.example:6443/a", "--a=b,c", "/usr/bin/obol", "a@b.example"] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in [
            "", "on", "No", "null", "1", "-1", "0x1f", "a: b", "a:", "# x", "a #b", "--", "-", ".5", "~",
            "a\nb", "{}", "*a", "é",
        ] {
            assert_eq!(scalar(quoted), serde_json::to_string(quoted).unwrap());
        }
    }
}
