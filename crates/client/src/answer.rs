//! The token endpoint's answer, checked before anybody uses it (RFC 8693 section 2.2).

use ambient::{Secret, Time};
use outbound::Answer;
use url::Url;
use wire::claims::Claims;
use wire::jose::Compact;
use wire::json::{Object, Value};

use crate::ask::Ask;
use crate::error::{Error, excerpt, shown};
use crate::issued::{Issued, is_printable};

/// Reads an answer 200.
pub(crate) fn read(ask: &Ask, body: &[u8], now: Time) -> Result<Issued, Error> {
    let bad = |what: &str| Error::Answer(what.to_owned());
    let document = Object::parse(body).map_err(|e| Error::Answer(format!("it is not JSON ({e})")))?;
    let token = document.str("access_token").ok_or_else(|| bad("it has no access_token"))?;
    if !is_printable(token) {
        return Err(bad("its access_token is no token"));
    }
    let issued_token_type =
        document.str("issued_token_type").ok_or_else(|| bad("it does not say issued_token_type"))?;
    if let Some(requested) = &ask.requested_token_type
        && !is_same_type(requested, issued_token_type)
    {
        return Err(Error::Answer(format!("{requested} was requested and {issued_token_type:?} issued")));
    }
    let token_type = document.str("token_type").ok_or_else(|| bad("it does not say token_type"))?;
    if !["bearer", "n_a"].iter().any(|known| token_type.eq_ignore_ascii_case(known)) {
        return Err(Error::Answer(format!(
            "a token of type {token_type:?} cannot be used as a bearer token"
        )));
    }
    let expires = expires(&document, token, now)?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(bad("the token in it has already expired; check this machine's clock"));
    }
    Ok(Issued {
        token: Secret::from(token),
        issued_token_type: issued_token_type.to_owned(),
        token_type: token_type.to_owned(),
        scope: document.str("scope").map(str::to_owned),
        expires,
        fresh_until: expires.map(|expires| Issued::fresh_until(now, expires)),
    })
}

/// Reads the error in an answer of another status.
pub(crate) fn refusal(url: &Url, answer: &Answer, subject_expired: bool) -> Error {
    let document = Object::parse(&answer.body).unwrap_or_default();
    let Some(code) = document.str("error").filter(|code| !code.is_empty()) else {
        return Error::Status { url: shown(url), status: answer.status.as_u16() };
    };
    let description = document.str("error_description").filter(|text| !text.is_empty());
    Error::Refused {
        code: excerpt(code),
        description: description.map(|text| format!(": {}", excerpt(text))).unwrap_or_default(),
        hint: match code {
            "invalid_request" | "invalid_grant" | "access_denied" if subject_expired => {
                "; the subject token has expired"
            }
            "invalid_client" => "; check --client-id and --client-secret",
            "invalid_target" => "; check --audience and --resource against the policy",
            "invalid_scope" => "; check --scope",
            "unsupported_grant_type" => "; the server does not offer this grant",
            "unauthorized_client" => "; the server does not let this client use this grant",
            _ => "",
        },
    }
}

/// The earlier of `expires_in` and the token's own `exp`: kubectl must not keep what the API server will refuse.
fn expires(document: &Object, token: &str, now: Time) -> Result<Option<Time>, Error> {
    let told = match document.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_int() {
            Some(seconds) if (0..=MOST_SECONDS).contains(&seconds) => {
                Some(Time::from_unix(now.unix() + seconds))
            }
            _ => return Err(Error::Answer("its expires_in is no number of seconds".into())),
        },
    };
    let unverified_exp = unverified_expiry(token);
    Ok(match (told, unverified_exp) {
        (Some(told), Some(own)) => Some(told.min(own)),
        (told, own) => told.or(own),
    })
}

fn unverified_expiry(token: &str) -> Option<Time> {
    let payload = Compact::parse(token).ok()?.payload;
    Claims::parse(&payload).ok()?.expires().map(Time::from_unix)
}

/// A `jwt` may be what an `id_token` or `access_token` is (RFC 8693 section 3), so a server may name it either way.
fn is_same_type(requested: &str, issued: &str) -> bool {
    const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    requested == issued || requested == JWT || issued == JWT
}

/// A hundred years: beyond it, nobody means seconds.
pub(crate) const MOST_SECONDS: i64 = 100 * 366 * 24 * 3600;

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::ask::{ClientAuth, Endpoint};

    const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

    fn ask() -> Ask {
        Ask {
            endpoint: Endpoint::Issuer(String::new()),
            client: ClientAuth::default(),
            subject_token_type: ID_TOKEN.into(),
            requested_token_type: Some(ID_TOKEN.into()),
            audience: Vec::new(),
            resource: Vec::new(),
            scope: Vec::new(),
            connector_id: None,
        }
    }

    fn answer(access_token: &str, more: &str) -> String {
        format!(
            r#"{{"access_token":"{access_token}","issued_token_type":"{ID_TOKEN}","token_type":"N_A"{more}}}"#
        )
    }

    fn jwt(exp: i64) -> String {
        format!(
            "{}.{}.c2ln",
            wire::b64::encode(r#"{"alg":"ES256"}"#),
            wire::b64::encode(format!(r#"{{"exp":{exp}}}"#))
        )
    }

    #[test]
    fn the_earlier_end_counts() {
        let end = |token: &str, more: &str| {
            read(&ask(), answer(token, more).as_bytes(), Time::from_unix(1000))
                .unwrap()
                .expires
                .map(Time::unix)
        };
        assert_eq!(end("opaque", r#","expires_in":60"#), Some(1060));
        assert_eq!(end(&jwt(1030), r#","expires_in":60"#), Some(1030));
        assert_eq!(end(&jwt(1090), r#","expires_in":60"#), Some(1060));
        assert_eq!(end(&jwt(1090), ""), Some(1090));
        assert_eq!(end("opaque", ""), None);
    }

    #[test]
    fn an_answer_that_is_not_what_was_asked_for_is_refused() {
        for (body, want) in [
            ("<html>".to_owned(), "not JSON"),
            ("{}".to_owned(), "no access_token"),
            (answer("", ""), "no token"),
            (answer("a b", ""), "no token"),
            (answer("a", r#","access_token":"b""#), "not JSON"),
            (answer("a", "").replace("id_token", "access_token"), "was requested"),
            (answer("a", "").replace("N_A", "DPoP"), "DPoP"),
            (answer("a", r#","expires_in":"60""#), "expires_in"),
            (answer("a", r#","expires_in":-1"#), "expires_in"),
            (answer("a", r#","expires_in":99999999999999"#), "expires_in"),
            (answer(&jwt(999), r#","expires_in":60"#), "already expired"),
            (r#"{"access_token":"a","token_type":"bearer"}"#.to_owned(), "issued_token_type"),
        ] {
            let told = read(&ask(), body.as_bytes(), Time::from_unix(1000)).unwrap_err().to_string();
            assert!(told.contains(want), "{body}: {told}");
        }
    }

    #[test]
    fn refusals_say_what_to_look_at() {
        let url = Url::parse("https://o.example/token?x=y").unwrap();
        let told = |body: &'static str, expired| {
            let answer =
                Answer { status: StatusCode::BAD_REQUEST, headers: Default::default(), body: body.into() };
            refusal(&url, &answer, expired).to_string()
        };
        assert_eq!(
            told(r#"{"error":"invalid_target","error_description":"no\nsuch audience"}"#, false),
            "the token endpoint refused: invalid_target: no such audience; check --audience and --resource against the policy"
        );
        assert!(told(r#"{"error":"invalid_request"}"#, true).ends_with("; the subject token has expired"));
        assert_eq!(told("<html>", false), "https://o.example/token answered 400; is it a token endpoint?");
    }
}
