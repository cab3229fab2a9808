//! Which policies are worth looking at: by connector, then client, then one literal conjunct of each `match`
//! (`claims.project_path == "…"`) or else the audience, so that a decision does not pay for policies that cannot match.
//!
//! The index only leaves out what could not match; whoever is a candidate is still looked at whole, in listed order.

use std::collections::{BTreeMap, HashMap, HashSet};

use expr::Conjunct;
use wire::json::Value;

use super::case::Case;
use super::rule::{Policy, Rule};

/// Positions of policies, by connector.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<String, Branch>);

/// One connector's.
#[derive(Debug, Default)]
struct Branch {
    denying: Bucket,
    /// By client.
    allowing: HashMap<String, Bucket>,
}

/// Positions, each list in listed order.
#[derive(Debug, Default)]
struct Bucket {
    by_text: Vec<ByText>,
    /// Those without a usable conjunct.
    open: Vec<usize>,
    /// The same, by each audience they list.
    open_by_audience: HashMap<String, Vec<usize>>,
    /// Every audience that any of them lists.
    audiences: HashSet<String>,
}

/// Policies that want a certain text at one path.
#[derive(Debug)]
struct ByText {
    path: Vec<String>,
    all: Vec<usize>,
    wanting: HashMap<String, Vec<usize>>,
}

/// What stands at a path.
enum Found<'a> {
    Text(&'a str),
    Other,
    Nothing,
}

impl Index {
    /// Of the policies that are, or are not, shadows.
    pub(super) fn new(policies: &[Policy], shadow: bool) -> Self {
        let all = || policies.iter().enumerate().filter(|(_, policy)| policy.shadow == shadow);
        let mut spread: HashMap<(&str, &[String], &str), usize> = HashMap::new();
        for (_, policy) in all() {
            for conjunct in usable(policy) {
                *spread.entry((&policy.connector, &conjunct.path, &conjunct.value)).or_default() += 1;
            }
        }
        let mut index = Self::default();
        for (at, policy) in all() {
            // The rarest: `ref_protected == "true"` may stand in every policy, `project_path` does not.
            let rarity = |conjunct: &&Conjunct| {
                spread
                    .get(&(policy.connector.as_str(), conjunct.path.as_slice(), conjunct.value.as_str()))
                    .copied()
            };
            let key = usable(policy).min_by_key(rarity);
            let branch = index.0.entry(policy.connector.clone()).or_default();
            match policy.rule {
                Rule::Deny => branch.denying.add(at, key, &policy.audiences),
                Rule::Allow(_) => {
                    for client in BTreeMap::from_iter(policy.clients.iter().map(|c| (c, ()))).into_keys() {
                        branch.allowing.entry(client.clone()).or_default().add(at, key, &policy.audiences);
                    }
                }
            }
        }
        index
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Allow policies that could match, in listed order.
    pub(super) fn allowing(&self, case: &Case<'_>) -> Candidates<'_> {
        let Some(bucket) = self.bucket(case) else { return Candidates::default() };
        let mut lists = Vec::with_capacity(bucket.by_text.len() + 1);
        lists.push(match case.asked.first() {
            Some(first) => bucket.open_by_audience.get(first).map_or(&[][..], Vec::as_slice),
            None => &bucket.open,
        });
        for by in &bucket.by_text {
            if let Found::Text(text) = find(&by.path, case) {
                lists.extend(by.wanting.get(text).map(Vec::as_slice));
            }
        }
        Candidates(lists)
    }

    /// Deny rules that could apply, in listed order. A path that leads nowhere is an error in the match, and that denies.
    pub(super) fn denying(&self, case: &Case<'_>) -> Candidates<'_> {
        let Some(branch) = self.0.get(case.connector) else { return Candidates::default() };
        let bucket = &branch.denying;
        let mut lists = Vec::with_capacity(bucket.by_text.len() + 1);
        lists.push(bucket.open.as_slice());
        for by in &bucket.by_text {
            match find(&by.path, case) {
                Found::Text(text) => lists.extend(by.wanting.get(text).map(Vec::as_slice)),
                // What is no text may be an error as well: `subject.claims` takes texts alone.
                Found::Other | Found::Nothing => lists.push(&by.all),
            }
        }
        Candidates(lists)
    }

    /// Whether this client is offered every audience it asks for, by whichever policies.
    pub(super) fn offers(&self, case: &Case<'_>) -> bool {
        case.asked.is_empty()
            || self
                .bucket(case)
                .is_some_and(|bucket| case.asked.iter().all(|name| bucket.audiences.contains(name)))
    }

    fn bucket(&self, case: &Case<'_>) -> Option<&Bucket> {
        self.0.get(case.connector)?.allowing.get(case.client)
    }
}

impl Bucket {
    fn add(&mut self, at: usize, key: Option<&Conjunct>, audiences: &[String]) {
        self.audiences.extend(audiences.iter().cloned());
        let Some(key) = key else {
            self.open.push(at);
            for audience in audiences {
                let list = self.open_by_audience.entry(audience.clone()).or_default();
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
            return;
        };
        let known = self.by_text.iter().position(|by| by.path == key.path);
        let place = known.unwrap_or(self.by_text.len());
        if known.is_none() {
            self.by_text.push(ByText { path: key.path.clone(), all: Vec::new(), wanting: HashMap::new() });
        }
        if let Some(by) = self.by_text.get_mut(place) {
            by.all.push(at);
            by.wanting.entry(key.value.clone()).or_default().push(at);
        }
    }
}

/// Several sorted lists as one, each position once.
#[derive(Debug, Default)]
pub(super) struct Candidates<'i>(Vec<&'i [usize]>);

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = self.0.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.0 {
            if let Some((first, rest)) = list.split_first()
                && *first == next
            {
                *list = rest;
            }
        }
        Some(next)
    }
}

fn usable(policy: &Policy) -> impl Iterator<Item = &Conjunct> {
    let conjuncts = policy.matching.as_ref().map(expr::Program::literal_conjuncts).unwrap_or_default();
    policy.patterns.conjuncts().iter().chain(conjuncts).filter(|conjunct| {
        matches!(conjunct.path.as_slice(), [variable, _, ..] if variable == CLAIMS)
            || matches!(conjunct.path.as_slice(), [variable, field] if variable == IDENTITY && field == USER)
    })
}

fn find<'a>(path: &[String], case: &Case<'a>) -> Found<'a> {
    let Some((variable, fields)) = path.split_first() else { return Found::Nothing };
    if variable == IDENTITY {
        return Found::Text(&case.identity.user_id);
    }
    let mut object = Some(case.claims.object());
    let mut found = None;
    for field in fields {
        found = object.and_then(|object| object.get(field));
        object = found.and_then(Value::as_object);
    }
    match found {
        Some(Value::Str(text)) => Found::Text(text),
        Some(_) => Found::Other,
        None => Found::Nothing,
    }
}

const CLAIMS: &str = "claims";
const IDENTITY: &str = "identity";
const USER: &str = "user_id";
