//! Somebody at a browser, by hand: follows redirects with cookies, fills in the provider's forms, comes back to whoever
//! waits at a port.

use std::collections::BTreeMap;

use url::Url;

use crate::serve::{Answer, Wire};

/// A browser with its cookies.
pub(crate) struct Walker {
    ca: Option<String>,
    cookies: BTreeMap<String, String>,
    fields: Vec<(&'static str, String)>,
}

impl Walker {
    /// Types these into fields of these names. `ca` (PEM) is believed for https.
    pub(crate) fn new(ca: Option<&str>, fields: &[(&'static str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { ca: ca.map(str::to_owned), cookies: BTreeMap::new(), fields }
    }

    /// Goes to an address and on, through every form, until a page has none.
    pub(crate) fn walk(&mut self, to: &str) -> Answer {
        self.walk_until(to, "no page says this")
    }

    /// The same, and stops at the first page that says this, but for where it began.
    pub(crate) fn walk_until(&mut self, to: &str, says: &str) -> Answer {
        let (mut at, mut form) = (Url::parse(to).unwrap(), None::<String>);
        for step in 0..20 {
            let answer = self.ask(&at, form.as_deref());
            if step > 0 && answer.body.contains(says) {
                return answer;
            }
            if let Some(next) = answer.header("location") {
                at = at.join(next).unwrap();
                form = None;
            } else if let Some((action, filled)) = self.filled(&answer.body) {
                at = at.join(&action).unwrap();
                form = Some(filled);
            } else {
                return answer;
            }
        }
        panic!("walking in circles at {at}");
    }

    fn ask(&mut self, at: &Url, form: Option<&str>) -> Answer {
        let port = at.port_or_known_default().unwrap();
        let secure = at.scheme() == "https";
        let wire = match &self.ca {
            Some(ca) if secure => Wire::tls(port, ca),
            _ => Wire::plain(port),
        };
        let (host, path) = (at.host_str().unwrap(), &at[url::Position::BeforePath..]);
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let cookies = cookies.join("; ");
        let common = format!("Host: {host}:{port}\r\nConnection: close\r\nCookie: {cookies}\r\n");
        let request = match form {
            None => format!("GET {path} HTTP/1.1\r\n{common}\r\n"),
            Some(form) => format!(
                "POST {path} HTTP/1.1\r\n{common}Content-Type: application/x-www-form-urlencoded\r\n\
                 Sec-Fetch-Site: same-origin\r\nOrigin: {}\r\nContent-Length: {}\r\n\r\n{form}",
                at.origin().ascii_serialization(),
                form.len()
            ),
        };
        let answer = wire.send(request.as_bytes()).expect("an answer");
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The first form of a page: where it goes, and what is typed into it.
    fn filled(&self, page: &str) -> Option<(String, String)> {
        let form = page.split("<form").nth(1)?.split("</form>").next()?;
        let mut filled = url::form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input").skip(1) {
            let Some(name) = attribute(input, "name") else { continue };
            let typed = self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            filled.append_pair(&name, &typed.or_else(|| attribute(input, "value")).unwrap_or_default());
        }
        // A form with several buttons is agreed to by its first.
        if let Some(button) = form.split("<button").nth(1)
            && let (Some(name), Some(value)) = (attribute(button, "name"), attribute(button, "value"))
        {
            filled.append_pair(&name, &value);
        }
        let action = attribute(form, "action").unwrap_or_default();
        Some((action, filled.finish()))
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split('>').next()?;
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&#x2f;", "/").replace("&#x27;", "'").replace("&quot;", "\"").replace("&amp;", "&"))
}
