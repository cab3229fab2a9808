//! The policy file, read as the API server reads it: what is refused there is refused here, under the same field. A key that
//! nobody knows, which is only warned of there, is refused too: a misspelt `userGroups` would be a rule for everybody.

use config::{Faults, Field, Fields, KeyStyle};

use super::policy::{Level, Policy, Resources, Rule, Stage, Stages};
use super::selector::is_subdomain;

impl Policy {
    /// Reads a file. `None`: it cannot be used, and the faults say why.
    pub fn read(text: &str, file: &str, faults: &Faults) -> Option<Self> {
        let section = config::parse_file(text, file, faults)?;
        let mut root = section.fields(KeyStyle::Ours, faults);
        read_kind(&mut root);
        // Names and labels of the object; they change nothing.
        root.take("metadata");
        let rules = root.elements("rules");
        if rules.is_empty() {
            root.error("loaded illegal policy with 0 rules", "write at least one, `- level: Metadata`");
        }
        let rules = rules.iter().map(read_rule).collect::<Vec<_>>();
        let omit_stages = read_stages(&mut root);
        let omit_managed_fields = root.or("omitManagedFields", false);
        root.finish();
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        (!faults.has_errors()).then_some(Self { rules, omit_stages, omit_managed_fields })
    }
}

/// As there, a file need not say what it is, but which version it is of.
fn read_kind(root: &mut Fields<'_>) {
    match root.take("apiVersion") {
        Some(field) => _ = field.one_of(&[("audit.k8s.io/v1", ())]),
        None => root.missing("apiVersion", "write audit.k8s.io/v1"),
    }
    if let Some(field) = root.take("kind") {
        field.one_of(&[("Policy", ()), ("", ())]);
    }
}

fn read_rule(element: &Field<'_>) -> Option<Rule> {
    let mut fields = element.group();
    let level = read_level(&mut fields);
    let users = texts(&mut fields, "users");
    let groups = texts(&mut fields, "userGroups");
    let verbs = texts(&mut fields, "verbs");
    let resources = fields.elements("resources").iter().map(read_resources).collect::<Vec<_>>();
    let namespaces = texts(&mut fields, "namespaces");
    let paths = read_paths(&mut fields);
    if !(paths.is_empty() || resources.is_empty() && namespaces.is_empty()) {
        fields.unfit(
            "nonResourceURLs",
            "Invalid value: rules cannot apply to both regular resources and non-resource URLs",
        );
    }
    let omit_stages = read_stages(&mut fields);
    let omit_managed_fields = fields.optional("omitManagedFields");
    fields.finish();
    let level = level?;
    Some(Rule { level, users, groups, verbs, resources, namespaces, paths, omit_stages, omit_managed_fields })
}

fn read_level(fields: &mut Fields<'_>) -> Option<Level> {
    let Some(field) = fields.take("level") else {
        fields.missing("level", format!("Required value: {}", words(Level::ALL.map(Level::word))));
        return None;
    };
    let word = field.string()?;
    let found = Level::ALL.into_iter().find(|level| level.word() == word);
    if found.is_none() {
        let what = if word.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Unsupported value: {word:?}")
        };
        field.error(what, format!("supported values: {}", words(Level::ALL.map(Level::word))));
    }
    found
}

fn read_resources(element: &Field<'_>) -> Resources {
    let mut fields = element.group();
    let group = fields.take("group").and_then(|field| {
        let group = field.string()?;
        if !group.is_empty() && group != "*" && !is_subdomain(&group) {
            let what = format!(
                "Invalid value: {group:?}: it is no lowercase RFC 1123 subdomain of at most 253 letters"
            );
            field.error(what, "write the API group without its version, \"\" for the core group, or \"*\"");
        }
        Some(group)
    });
    let kinds = texts(&mut fields, "resources");
    let names = texts(&mut fields, "resourceNames");
    if !names.is_empty() && kinds.is_empty() {
        fields.unfit("resourceNames", "Invalid value: using resourceNames requires at least one resource");
    }
    fields.finish();
    Resources { group: group.unwrap_or_default(), kinds, names }
}

fn read_paths(fields: &mut Fields<'_>) -> Vec<String> {
    let elements = fields.elements("nonResourceURLs");
    let mut paths = Vec::new();
    for element in elements {
        let Some(path) = element.string() else { continue };
        let starred = path.strip_suffix('*').unwrap_or(&path).contains('*');
        for (found, what) in [
            (path != "*" && !path.starts_with('/'), "non-resource URL rules must begin with a '/' character"),
            (starred, "non-resource URL wildcards '*' must be the final character of the rule"),
        ] {
            if found {
                element.error(format!("Invalid value: {path:?}: {what}"), "");
            }
        }
        paths.push(path);
    }
    paths
}

fn read_stages(fields: &mut Fields<'_>) -> Stages {
    let mut stages = Stages::default();
    for element in fields.elements("omitStages") {
        let Some(word) = element.string() else { continue };
        match Stage::ALL.into_iter().find(|stage| stage.word() == word) {
            Some(stage) => stages = stages.with(stage),
            None => element.error(
                format!("Invalid value: {word:?}"),
                format!("allowed stages are {}", words(Stage::ALL.map(Stage::word))),
            ),
        }
    }
    stages
}

fn texts(fields: &mut Fields<'_>, key: &str) -> Vec<String> {
    fields.elements(key).iter().filter_map(Field::string).collect()
}

fn words<const N: usize>(words: [&str; N]) -> String {
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &str) -> String {
        let faults = Faults::new();
        let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}");
        assert!(Policy::read(&text, "", &faults).is_none(), "{rules}");
        faults.to_string()
    }

    #[test]
    fn a_faulty_file_is_refused_with_the_api_servers_field_and_reason() {
        for (rules, path, reason) in [
            ("rules: []", "", "0 rules"),
            ("rules: [{users: [a]}]", "rules[0].level", "Required value"),
            ("rules: [{level: All}]", "rules[0].level", "Unsupported value: \"All\""),
            (
                "rules: [{level: None, nonResourceURLs: [a]}]",
                "rules[0].nonResourceURLs[0]",
                "begin with a '/'",
            ),
            (
                "rules: [{level: None, nonResourceURLs: [/a*b]}]",
                "rules[0].nonResourceURLs[0]",
                "final character",
            ),
            (
                "rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]",
                "rules[0].nonResourceURLs",
                "both regular resources",
            ),
            ("rules: [{level: None, resources: [{group: a/v1}]}]", "rules[0].resources[0].group", "RFC 1123"),
            (
                "rules: [{level: None, resources: [{resourceNames: [a]}]}]",
                "rules[0].resources[0].resourceNames",
                "requires at least one resource",
            ),
            ("rules: [{level: None}]\nomitStages: [Started]", "omitStages[0]", "allowed stages are"),
            ("rules: [{level: None, userGroup: [a]}]", "rules[0].userGroup", "did you mean userGroups"),
        ] {
            let told = faults(rules);
            assert!(told.contains(path) && told.contains(reason), "{rules}: {told}");
        }
        assert!(Policy::read("rules: [{level: None}]", "", &Faults::new()).is_none());
        let old = "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]";
        assert!(Policy::read(old, "", &Faults::new()).is_none());
    }
}
