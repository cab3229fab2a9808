//! What stands beside a way to sign in: one drawing for each sort of upstream. They are drawn here, since nobody's mark is
//! ours to show, and inline, so that they have the colour of the text.

/// The drawing for a kind of connector, as a part of a page.
pub(crate) fn icon(kind: &str) -> String {
    let path = match kind {
        "local" => ENVELOPE,
        "ldap" | "keystone" | "atlassian-crowd" | "mockPassword" => DIRECTORY,
        "github" | "gitlab" | "gitea" | "bitbucket-cloud" => BRANCH,
        "google" | "microsoft" | "openshift" | "linkedin" => CLOUD,
        "authproxy" => SHIELD,
        "oidc" | "oauth" | "saml" => KEY,
        _ => PERSON,
    };
    format!(
        r#"<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d="{path}"/></svg>"#
    )
}

const ENVELOPE: &str = "M3 6h18v12H3zM3 6l9 7 9-7";
const DIRECTORY: &str = "M12 3v6M12 9H5v4M12 9h7v4M3 13h4v4H3zM17 13h4v4h-4zM10 13h4v4h-4zM12 9v4";
const BRANCH: &str = "M7 8v8M7 5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM7 16a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM17 5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM17 8c0 5-10 3-10 8";
const CLOUD: &str = "M7 18a4 4 0 0 1-.5-8A5.5 5.5 0 0 1 17 9a4.5 4.5 0 0 1 0 9z";
const SHIELD: &str = "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z";
const KEY: &str = "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 12l9-9M16 7l3 3";
const PERSON: &str = "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 20c1-4 4-6 8-6s7 2 8 6";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_and_none_of_them_shows_its_name() {
        for kind in ["local", "ldap", "github", "microsoft", "saml", "authproxy", "\"><script>"] {
            let shown = icon(kind);
            assert!(shown.starts_with("<svg") && shown.matches('<').count() == 3, "{kind}");
            assert!(!shown.contains("script"));
        }
    }
}
