//! A caller that asks to be somebody else (`kubectl --as`), where the operator lets callers ask: the API server says for each
//! name whether the caller may, and who it really is travels along in extra fields.
//!
//! The headers are read under their exact names. Another spelling, a name that is none of the four, or a field that says who
//! somebody originally was is refused: what is not understood is not checked.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use cluster::{Access, NoReview, Reviews, Subject};
use http::HeaderMap;
use http::header::HeaderName;

use crate::guard;
use crate::identity::KubeUser;
use crate::refusal::Refusal;

/// Asks whether callers may impersonate.
pub struct OnBehalf {
    reviews: Reviews,
    within: Duration,
    clock: Arc<dyn Clock>,
}

/// The user that a request asks to be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    name: Option<String>,
    uid: Option<String>,
    groups: Vec<String>,
    extra: Vec<(String, Vec<String>)>,
}

impl OnBehalf {
    /// All questions of one request are answered `within` this time, or it is refused.
    pub const fn new(reviews: Reviews, within: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { reviews, within, clock }
    }

    /// As whom the request of `caller` goes on. Takes the headers that ask for it away.
    pub(crate) async fn user(&self, caller: KubeUser, headers: &mut HeaderMap) -> Result<KubeUser, Refusal> {
        if guard::refuse_impersonation(headers).is_ok() {
            return Ok(caller);
        }
        let asked = Asked::take(headers)?;
        let Some(name) = asked.name.clone() else {
            return Err(Refusal::Request("impersonation headers without Impersonate-User"));
        };
        tokio::select! {
            checked = self.check(&caller, &name, &asked) => checked?,
            () = self.clock.sleep(self.within) => return Err(Refusal::Unreviewed("no answer in time".into())),
        }
        let mut user =
            KubeUser { name, uid: asked.uid.unwrap_or_default(), groups: asked.groups, extra: asked.extra };
        user.extra.extend(original(&caller));
        Ok(user)
    }

    async fn check(&self, caller: &KubeUser, name: &str, asked: &Asked) -> Result<(), Refusal> {
        let KubeUser { name: who, uid, groups, extra } = caller.clone();
        let mut groups = groups;
        groups.push("system:authenticated".to_owned());
        let subject = Subject { name: who, uid, groups, extra };
        let impersonate = Access { verb: "impersonate", ..Access::default() };
        let user = match name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => Access { resource: "serviceaccounts", namespace, name, ..impersonate },
            None => Access { resource: "users", name, ..impersonate },
        };
        self.may(&subject, user, || format!("user '{name}'")).await?;
        for group in &asked.groups {
            let access = Access { resource: "groups", name: group, ..impersonate };
            self.may(&subject, access, || format!("group '{group}'")).await?;
        }
        let impersonate = Access { group: "authentication.k8s.io", ..impersonate };
        if let Some(uid) = &asked.uid {
            let access = Access { resource: "uids", name: uid, ..impersonate };
            self.may(&subject, access, || format!("uid '{uid}'")).await?;
        }
        for (key, values) in &asked.extra {
            for value in values {
                let access = Access { resource: "userextras", subresource: key, name: value, ..impersonate };
                self.may(&subject, access, || format!("extra info '{key}'='{value}'")).await?;
            }
        }
        Ok(())
    }

    async fn may(
        &self,
        subject: &Subject,
        access: Access<'_>,
        what: impl Fn() -> String,
    ) -> Result<(), Refusal> {
        // An empty name in a review asks for all names.
        let named = !access.name.is_empty();
        match self.reviews.may(subject, access).await.map_err(|error: NoReview| error.to_string()) {
            Ok(true) if named => Ok(()),
            Ok(_) => Err(Refusal::MayNotImpersonate(format!(
                "{} is not allowed to impersonate {}",
                subject.name,
                what()
            ))),
            Err(why) => Err(Refusal::Unreviewed(why)),
        }
    }
}

impl Asked {
    fn take(headers: &mut HeaderMap) -> Result<Self, Refusal> {
        let names: Vec<HeaderName> =
            headers.keys().filter(|name| guard::is_impersonation(name)).cloned().collect();
        let mut asked = Self::default();
        for name in names {
            let values: Vec<String> = headers
                .get_all(&name)
                .iter()
                .map(|value| String::from_utf8(value.as_bytes().to_vec()))
                .collect::<Result<_, _>>()
                .map_err(|_| Refusal::Unheadable)?;
            if !values.iter().all(|value| guard::is_headable(value)) {
                return Err(Refusal::Unheadable);
            }
            headers.remove(&name);
            match name.as_str() {
                "impersonate-user" => asked.name = Some(only(values)?),
                "impersonate-uid" => asked.uid = Some(only(values)?),
                "impersonate-group" => asked.groups = values,
                other => match other.strip_prefix("impersonate-extra-").map(unescaped) {
                    Some(Some(key)) if !key.is_empty() && !key.starts_with(ORIGINAL_DOMAIN) => {
                        asked.extra.push((key, values));
                    }
                    _ => return Err(Refusal::Impersonation),
                },
            }
        }
        Ok(asked)
    }
}

/// One value, or two readers could choose two.
fn only(mut values: Vec<String>) -> Result<String, Refusal> {
    match (values.pop(), values.is_empty()) {
        (Some(value), true) if !value.is_empty() => Ok(value),
        _ => Err(Refusal::Request("an impersonation header is empty or stands twice")),
    }
}

/// A key from a header's name: lower case, `%xx` decoded. `None` if that is no text.
fn unescaped(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(|key| key.to_lowercase())
}

/// Who the caller really is, in the fields of kube-oidc-proxy's forks.
fn original(caller: &KubeUser) -> Vec<(String, Vec<String>)> {
    let extra: serde_json::Map<_, _> =
        caller.extra.iter().map(|(key, values)| (key.clone(), serde_json::json!(values))).collect();
    let [user, groups, uid, extras] = ORIGINAL.map(str::to_owned);
    let mut fields = vec![(user, vec![caller.name.clone()])];
    if !caller.groups.is_empty() {
        fields.push((groups, caller.groups.clone()));
    }
    if !caller.uid.is_empty() {
        fields.push((uid, vec![caller.uid.clone()]));
    }
    if !extra.is_empty() {
        fields.push((extras, vec![serde_json::Value::Object(extra).to_string()]));
    }
    fields
}

/// The fields that say who a caller really is.
pub(crate) const ORIGINAL: [&str; 4] = [
    "originaluser.jetstack.io-user",
    "originaluser.jetstack.io-groups",
    "originaluser.jetstack.io-uid",
    "originaluser.jetstack.io-extra",
];

const ORIGINAL_DOMAIN: &str = "originaluser.jetstack.io";

#[cfg(test)]
mod tests {
    use super::*;

    fn take(lines: &[(&str, &str)]) -> Result<Asked, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let asked = Asked::take(&mut headers).map_err(|refusal| refusal.code());
        assert!(asked.is_err() || guard::refuse_impersonation(&headers).is_ok());
        asked
    }

    #[test]
    fn what_is_asked_is_read_as_the_api_server_reads_it() {
        let asked = take(&[
            ("Impersonate-User", "a"),
            ("Impersonate-Group", "g"),
            ("Impersonate-Group", "h"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Example.org%2fScope", "x"),
        ]);
        let expected = Asked {
            name: Some("a".into()),
            uid: Some("7".into()),
            groups: vec!["g".into(), "h".into()],
            extra: vec![("example.org/scope".into(), vec!["x".into()])],
        };
        assert_eq!(asked.unwrap(), expected);
    }

    #[test]
    fn attack_28_what_is_not_understood_is_refused_and_not_passed_unchecked() {
        for (lines, code) in [
            (&[("impersonate_user", "admin")][..], "impersonation"),
            (&[("impersonate-anything", "a")], "impersonation"),
            (&[("impersonate", "a")], "impersonation"),
            (&[("impersonate-extra-", "a")], "impersonation"),
            (&[("impersonate-extra-%zz", "a")], "impersonation"),
            (&[("impersonate-extra-originaluser.jetstack.io-user", "admin")], "impersonation"),
            (&[("impersonate-extra-%6friginaluser.jetstack.io-user", "admin")], "impersonation"),
            (&[("impersonate-user", "a"), ("impersonate-user", "b")], "request"),
            (&[("impersonate-user", "")], "request"),
        ] {
            assert_eq!(take(lines), Err(code), "{lines:?}");
        }
    }

    #[test]
    fn who_the_caller_is_travels_along() {
        let caller = KubeUser {
            name: "jane".into(),
            uid: "7".into(),
            groups: vec!["g".into()],
            extra: vec![("k".into(), vec!["v".into()])],
        };
        let fields = original(&caller);
        assert_eq!(fields.len(), 4);
        assert_eq!(fields.last().unwrap().1, [r#"{"k":["v"]}"#]);
        assert_eq!(original(&KubeUser { name: "jane".into(), ..KubeUser::default() }).len(), 1);
    }
}
