//! `oauth`: any upstream with OAuth 2.0 and a place that says who a token is of, with Dex's keys (dex.md 3.4).
//!
//! Groups come from there alone: the payload of an access token, which Dex reads too, is nobody's word (weakness K4).

use ambient::BoxFuture;
use config::{Fields, HttpUrl, KeyStyle};
use provider::connector::{Hints, Identity, UpstreamError};
use url::Url;
use wire::json::Value;

use crate::oauth2::{self, ByCode, CodeFlow, Question, Registration, SecretIn, Tokens, Upstream};
use crate::{Built, Given, Kind, root_ca};

pub(crate) const KIND: Kind = Kind { kind: "oauth", keys: KeyStyle::Dex, read, file: file!() };

struct OAuth {
    flow: CodeFlow,
    userinfo: Url,
    scopes: Vec<String>,
    mapping: Mapping,
}

/// What the members of UserInfo are called.
struct Mapping {
    user_id: String,
    user_name: String,
    preferred_username: String,
    groups: String,
    email: String,
    email_verified: String,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let registration = Registration::read(fields, given);
    let trust = root_ca::trust(fields, root_ca::Machine::Stays);
    let client = oauth2::client(fields, given, trust);
    let mut place = |key: &str| {
        let url: Option<HttpUrl> = fields.required(key);
        if url.as_ref().is_some_and(|url| url.url().scheme() == "http") {
            fields.warning(
                format!("has a {key} by http: anybody on the way can sign in as anybody"),
                "use https",
            );
        }
        url.map(|url| url.url().clone())
    };
    let (token, authorize, userinfo) = (place("tokenURL"), place("authorizationURL"), place("userInfoURL"));
    let scopes = fields.or_default("scopes");
    let mapping = Mapping::read(fields);
    let flow =
        CodeFlow::new(registration?, authorize?, token?, client?, given).secret_in(SecretIn::HeaderOrBody);
    let connector = OAuth { flow, userinfo: userinfo?, scopes, mapping };
    Some(ByCode::built(connector))
}

impl Mapping {
    fn read(fields: &mut Fields<'_>) -> Self {
        let named = |name: Option<String>, default: &str| {
            name.filter(|name| !name.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let user_id = named(fields.optional("userIDKey"), "id");
        let mut mapped = fields.group("claimMapping");
        let mapping = Self {
            user_id,
            user_name: named(mapped.optional("userNameKey"), "user_name"),
            preferred_username: named(mapped.optional("preferredUsernameKey"), "preferred_username"),
            groups: named(mapped.optional("groupsKey"), "groups"),
            email: named(mapped.optional("emailKey"), "email"),
            email_verified: named(mapped.optional("emailVerifiedKey"), "email_verified"),
        };
        mapped.finish();
        mapping
    }

    fn identify(&self, userinfo: &[u8], scopes: Hints) -> Result<Identity, UpstreamError> {
        let invalid = |why: String| UpstreamError::Invalid(why);
        let said = Value::parse(userinfo).map_err(|why| invalid(format!("UserInfo: {why}")))?;
        let said = said.as_object().ok_or_else(|| invalid("UserInfo is no object".into()))?;
        let text = |key: &str| said.str(key).unwrap_or_default().to_owned();
        let user_id = match said.get(&self.user_id) {
            Some(Value::Str(id)) if !id.is_empty() => id.clone(),
            Some(Value::Int(id)) => number(*id),
            _ => {
                return Err(invalid(format!(
                    "UserInfo has no {:?} that is a text or a whole number",
                    self.user_id
                )));
            }
        };
        let verified = said.get(&self.email_verified).and_then(Value::as_bool).unwrap_or(false);
        let email = text(&self.email);
        Ok(Identity {
            user_id,
            username: text(&self.user_name),
            preferred_username: text(&self.preferred_username),
            email_verified: verified && !email.is_empty(),
            email,
            groups: if scopes.groups { self.groups(said.get(&self.groups))? } else { Vec::new() },
        })
    }

    /// A list of texts, or of objects with a name.
    fn groups(&self, said: Option<&Value>) -> Result<Vec<String>, UpstreamError> {
        let malformed =
            || UpstreamError::Invalid(format!("UserInfo's {:?} is no list of groups", self.groups));
        let name = |value: &Value| match value {
            Value::Str(name) => Some(name.clone()),
            Value::Object(object) => object.str("name").map(str::to_owned),
            _ => None,
        };
        match said {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::List(many)) => many.iter().map(|one| name(one).ok_or_else(malformed)).collect(),
            Some(_) => Err(malformed()),
        }
    }
}

/// A number as Dex writes it into `sub`: as Go prints a float, from a million on with an exponent. Where floats lose digits, and
/// so two people would be one, it stands as it is (weakness K4).
fn number(id: i64) -> String {
    let digits = id.unsigned_abs().to_string();
    if id.unsigned_abs() < 1_000_000 || id.unsigned_abs() >= 1 << 53 {
        return id.to_string();
    }
    let sign = if id < 0 { "-" } else { "" };
    let exponent = digits.len() - 1;
    let significant = digits.trim_end_matches('0');
    let (first, rest) = significant.split_at_checked(1).unwrap_or((significant, ""));
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e+{exponent:02}")
}

impl Upstream for OAuth {
    const REFRESHES: bool = false;

    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, _: Hints) -> Question<'_> {
        Question { scopes: self.scopes.iter().map(String::as_str).collect(), more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let answer = self.flow.api(tokens, &[]).document(&self.userinfo).await?;
            self.mapping.identify(&answer.body, scopes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dex_k4_numbers_are_what_they_are_in_dex_while_they_tell_people_apart() {
        for (id, text) in [
            (0, "0"),
            (7, "7"),
            (999_999, "999999"),
            (1_000_000, "1e+06"),
            (1_234_567, "1.234567e+06"),
            (12_345_678_901, "1.2345678901e+10"),
            (-2_500_000, "-2.5e+06"),
            (9_007_199_254_740_991, "9.007199254740991e+15"),
            (9_007_199_254_740_992, "9007199254740992"),
            (9_007_199_254_740_993, "9007199254740993"),
        ] {
            assert_eq!(number(id), text);
        }
    }
}
