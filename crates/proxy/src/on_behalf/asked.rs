//! What a request asks for in its impersonation headers, read as the API server reads it.

use http::HeaderMap;
use http::header::HeaderName;

use super::ORIGINAL_DOMAIN;
use crate::guard;
use crate::identity::KubeUser;
use crate::impersonate::{CLIENT_IP, Extras};
use crate::refusal::Refusal;

/// The user that a request asks to be, and every question whether it may, once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) user: KubeUser,
    pub(super) questions: Vec<Question>,
}

/// Something that the caller must be allowed to impersonate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) subresource: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Asked {
    /// Takes the headers away; `None`: the request asks for nothing. Fields that the proxy writes itself (`ours` and those that
    /// say who somebody originally was, or where) may not be asked for.
    pub(crate) fn take(headers: &mut HeaderMap, ours: &Extras) -> Result<Option<Self>, Refusal> {
        let names: Vec<HeaderName> =
            headers.keys().filter(|name| guard::is_impersonation(name)).cloned().collect();
        if names.is_empty() {
            return Ok(None);
        }
        let mut user = KubeUser::default();
        for name in names {
            let values = taken(headers, &name)?;
            match name.as_str() {
                "impersonate-user" => user.name = only(values)?,
                "impersonate-uid" => user.uid = only(values)?,
                "impersonate-group" => user.groups = values,
                other => match other.strip_prefix("impersonate-extra-").map(unescaped) {
                    Some(Some(key)) if !key.is_empty() && !is_ours(&key, ours) => {
                        user.extra.push((key, values));
                    }
                    _ => return Err(Refusal::Impersonation),
                },
            }
        }
        if user.name.is_empty() {
            return Err(Refusal::Request("impersonation headers without Impersonate-User"));
        }
        let questions = questions(&user);
        if questions.len() > MOST_NAMES {
            return Err(Refusal::Request("a request may impersonate at most 64 names, groups and values"));
        }
        Ok(Some(Self { user, questions }))
    }
}

impl Question {
    /// As kube-oidc-proxy's forks say it.
    pub(super) fn told(&self) -> String {
        let Self { resource, subresource, namespace, name, .. } = self;
        match *resource {
            "serviceaccounts" => format!("user 'system:serviceaccount:{namespace}:{name}'"),
            "users" => format!("user '{name}'"),
            "groups" => format!("group '{name}'"),
            "uids" => format!("uid '{name}'"),
            _ => format!("extra info '{subresource}'='{name}'"),
        }
    }
}

fn taken(headers: &mut HeaderMap, name: &HeaderName) -> Result<Vec<String>, Refusal> {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8(value.as_bytes().to_vec()));
    let values = values.collect::<Result<Vec<_>, _>>().map_err(|_| Refusal::Unheadable)?;
    if !values.iter().all(|value| guard::is_headable(value)) {
        return Err(Refusal::Unheadable);
    }
    headers.remove(name);
    Ok(values)
}

fn is_ours(key: &str, ours: &Extras) -> bool {
    key.starts_with(ORIGINAL_DOMAIN)
        || key == CLIENT_IP
        || ours.keys().any(|written| written.eq_ignore_ascii_case(key))
}

/// Each once, however often it is asked: every one of them costs the API server a review.
fn questions(user: &KubeUser) -> Vec<Question> {
    let question = |group, resource, name: &str| Question {
        group,
        resource,
        subresource: String::new(),
        namespace: String::new(),
        name: name.to_owned(),
    };
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut all = vec![match account {
        Some((namespace, name)) => {
            Question { namespace: namespace.to_owned(), ..question("", "serviceaccounts", name) }
        }
        None => question("", "users", &user.name),
    }];
    all.extend(user.groups.iter().map(|group| question("", "groups", group)));
    if !user.uid.is_empty() {
        all.push(question(AUTHENTICATION, "uids", &user.uid));
    }
    for (key, values) in &user.extra {
        let extra = |value: &String| Question {
            subresource: key.clone(),
            ..question(AUTHENTICATION, "userextras", value)
        };
        all.extend(values.iter().map(extra));
    }
    let mut once: Vec<Question> = Vec::new();
    for question in all {
        if once.len() <= MOST_NAMES && !once.contains(&question) {
            once.push(question);
        }
    }
    once
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

/// Where UIDs and extra fields are impersonated.
pub(super) const AUTHENTICATION: &str = "authentication.k8s.io";

/// Questions of one request.
const MOST_NAMES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(lines: &[(&str, &str)]) -> Result<Asked, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let ours = Extras { fixed: vec![("Team".into(), vec!["a".into()])], client_ip: false };
        let asked = Asked::take(&mut headers, &ours).map_err(|refusal| refusal.code());
        assert!(asked.is_err() || guard::refuse_impersonation(&headers).is_ok());
        asked.map(|asked| asked.expect("it asks"))
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
        let expected = KubeUser {
            name: "a".into(),
            uid: "7".into(),
            groups: vec!["g".into(), "h".into()],
            extra: vec![("example.org/scope".into(), vec!["x".into()])],
        };
        assert_eq!(asked.unwrap().user, expected);
    }

    #[test]
    fn attack_28_what_is_not_understood_is_refused_and_not_passed_unchecked() {
        for (lines, code) in [
            (&[("impersonate_user", "admin")][..], "impersonation"),
            (&[("impersonate-anything", "a")], "impersonation"),
            (&[("impersonate", "a")], "impersonation"),
            (&[("impersonate-extra-", "a")], "impersonation"),
            (&[("impersonate-extra-%zz", "a")], "impersonation"),
            (&[("impersonate-user", "a"), ("impersonate-user", "b")], "request"),
            (&[("impersonate-user", "")], "request"),
            (&[("impersonate-uid", "7")], "request"),
        ] {
            assert_eq!(take(lines), Err(code), "{lines:?}");
        }
    }

    #[test]
    fn attack_28_fields_that_the_proxy_writes_are_not_asked_for() {
        for field in [
            "originaluser.jetstack.io-user",
            "%6friginaluser.jetstack.io-user",
            "remote-client-ip",
            "Remote-Client-%49p",
            "team",
        ] {
            let header = format!("impersonate-extra-{field}");
            let asked = take(&[("impersonate-user", "a"), (&header, "b")]);
            assert_eq!(asked, Err("impersonation"), "{field}");
        }
    }

    #[test]
    fn attack_25_each_name_is_one_question_and_there_are_not_too_many() {
        let groups = |count: usize| -> Vec<String> { (0..count).map(|i| format!("g{i}")).collect() };
        let ask = |groups: &[String]| {
            let lines = groups.iter().map(|group| ("impersonate-group", group.as_str()));
            take(&std::iter::once(("impersonate-user", "a")).chain(lines).collect::<Vec<_>>())
        };
        assert_eq!(ask(&vec!["g".to_owned(); 500]).unwrap().questions.len(), 2);
        assert_eq!(ask(&groups(63)).unwrap().questions.len(), 64);
        assert_eq!(ask(&groups(64)), Err("request"));
    }
}
