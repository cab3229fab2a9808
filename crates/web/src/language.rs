//! What pages say, in each language: a file of `text/` and a line here. A browser says which it would like
//! (RFC 9110 section 12.5.4).

use minijinja::Value;
use provider::login::Notice;

/// One language.
pub(crate) struct Language {
    tag: &'static str,
    /// The texts, as templates see them.
    pub(crate) texts: Value,
    source: serde_json::Value,
}

/// All languages; the first is spoken to those who would like none of them.
pub(crate) struct Languages(Vec<Language>);

impl Languages {
    /// Reads the texts.
    ///
    /// # Errors
    /// A file that is no JSON.
    pub(crate) fn read() -> Result<Self, serde_json::Error> {
        let read = |(tag, text): (&'static str, &str)| {
            let source: serde_json::Value = serde_json::from_str(text)?;
            let texts = source.as_object().into_iter().flatten();
            let texts = texts.filter_map(|(key, text)| Some((key.as_str(), text.as_str()?)));
            Ok(Language { tag, texts: Value::from_pairs(texts), source })
        };
        TEXTS.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The one that a browser likes best, by its `Accept-Language`.
    pub(crate) fn choose(&self, accepted: Option<&str>) -> Option<&Language> {
        let mut best: Option<(f32, &Language)> = None;
        for range in accepted.unwrap_or_default().split(',').take(MOST_RANGES) {
            let (range, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(0.0);
            let primary = range.trim().split('-').next().unwrap_or_default();
            let known = self.0.iter().find(|language| language.tag.eq_ignore_ascii_case(primary));
            if let Some(known) = known.filter(|_| weight > best.map_or(0.0, |(best, _)| best)) {
                best = Some((weight, known));
            }
        }
        best.map(|(_, language)| language).or_else(|| self.0.first())
    }
}

impl Language {
    /// One text.
    pub(crate) fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.source.get(key).and_then(|text| text.as_str()).unwrap_or(key)
    }

    /// What a person is told.
    pub(crate) fn notice(&self, notice: Notice) -> String {
        let there = self.source.get("notice").and_then(|notices| notices.get(notice.key()));
        there.and_then(|text| text.as_str()).map_or_else(|| notice.to_string(), str::to_owned)
    }

    /// What a connector calls the name that it asks for.
    pub(crate) fn prompt<'a>(&'a self, prompt: &'a str) -> &'a str {
        let there = self.source.get("prompt").and_then(|prompts| prompts.get(prompt));
        there.and_then(|text| text.as_str()).unwrap_or(prompt)
    }
}

/// A text with its blanks, `{name}`, filled in.
pub(crate) fn filled(text: &str, blanks: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else { return out };
        out.push_str(blanks.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = behind;
    }
    out + rest
}

const TEXTS: [(&str, &str); 2] =
    [("en", include_str!("../text/en.json")), ("de", include_str!("../text/de.json"))];
/// A browser names a handful.
const MOST_RANGES: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_browser_gets_what_it_likes_best() {
        let languages = Languages::read().unwrap();
        let chosen = |accepted| languages.choose(accepted).unwrap().tag;
        for (accepted, tag) in [
            ("de", "de"),
            ("de-AT,en;q=0.5", "de"),
            ("fr, de;q=0.3, en;q=0.7", "en"),
            ("DE-de", "de"),
            ("de;q=0", "en"),
            ("fr", "en"),
            ("*", "en"),
            (";;,q=,\u{e9}", "en"),
        ] {
            assert_eq!(chosen(Some(accepted)), tag, "{accepted}");
        }
        assert_eq!(chosen(None), "en");
    }

    /// Nothing is left out in any of them, and each has the same blanks.
    #[test]
    fn every_language_says_everything() {
        let languages = Languages::read().unwrap();
        let keys = |language: &Language| {
            language.source.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
        };
        let blanks = |text: &str| {
            text.split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        let english = languages.0.first().unwrap();
        for language in &languages.0 {
            assert_eq!(keys(language), keys(english), "{}", language.tag);
            assert_eq!(language.text("language"), language.tag);
            for key in keys(english) {
                assert_eq!(blanks(language.text(&key)), blanks(english.text(&key)), "{} {key}", language.tag);
            }
            for notice in Notice::ALL {
                let told = language.notice(notice);
                assert_eq!(told == notice.to_string(), language.tag == "en", "{} {notice:?}", language.tag);
            }
        }
        let notices = languages.choose(Some("de")).unwrap().source["notice"].as_object().unwrap().len();
        assert_eq!(notices, Notice::ALL.len(), "a notice that is told no longer");
    }

    #[test]
    fn blanks_are_filled() {
        let blanks = [("client", "{code}"), ("code", "x")];
        assert_eq!(filled("{client} and {code}{other}.", &blanks), "{code} and x.");
        assert_eq!(filled("no blank {", &blanks), "no blank ");
    }
}
