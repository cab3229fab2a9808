//! The cases of the CEL specification, as the Go peer reads them. What is set aside is counted by reason in `ASIDE`, here
//! and in docs/cel.md; every other case has the value, the type or the error that the specification says.

use std::collections::BTreeMap;

use expr::{Budget, Env, Program, Type, Vars, Want};
use wire::json::{self, Object};

use crate::peer::{notation, peer, refused};

#[test]
#[ignore = "peer: cel-go"]
fn the_specification_says_so_too() {
    let said = peer("conformance", Vec::new());
    let mut aside: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut held, mut wrong) = (0, Vec::new());
    for line in said.lines() {
        let case = Object::parse(line.as_bytes()).unwrap();
        let found = conform(&case);
        if let Some(beside) = case.str("beside") {
            *aside.entry(ASIDE.iter().find(|(why, _)| *why == beside).unwrap().0).or_default() += 1;
        } else if is_wanted(&case, &found) {
            held += 1;
        } else if let Some(why) = reason(&case, &found) {
            *aside.entry(why).or_default() += 1;
        } else {
            wrong.push(format!("{}\n  {case:?}\n  found {found:?}", case.str("name").unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{} of {held}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((held, aside), (HELD, ASIDE.iter().copied().collect()));
}

/// Whoever reads the page knows how many cases are set aside, and why.
#[test]
fn what_is_set_aside_is_documented() {
    let page = include_str!("../../../../docs/cel.md");
    let aside: usize = ASIDE.iter().map(|(_, count)| count).sum();
    let rows = ASIDE.iter().map(|(why, count)| format!("| {why} | {count} |\n")).collect::<String>();
    assert!(page.contains(&rows), "docs/cel.md does not say:\n{rows}");
    let thousands = |count: usize| format!("{},{:03}", count / 1_000, count % 1_000);
    let total = format!("Of its {} cases {} hold", thousands(HELD + aside), thousands(HELD));
    assert!(page.contains(&total), "docs/cel.md does not say: {total}");
}

/// Value and type of a case in the peer's notation, or why there is none.
fn conform(case: &Object) -> Result<Found, String> {
    let members = |name: &str| {
        let object = case.get(name).and_then(json::Value::as_object);
        object.into_iter().flat_map(Object::iter).map(|(k, v)| (k.to_owned(), v.as_str().unwrap().to_owned()))
    };
    let types = members("types").collect::<BTreeMap<_, _>>();
    let sources = members("vars").collect::<Vec<_>>();
    let mut env = Env::new();
    for name in types.keys().chain(sources.iter().map(|(name, _)| name)) {
        env = env.with(name, types.get(name).map_or(Type::Dyn, |text| type_of(text)));
    }
    let compiled = |source: &str| Program::compile(source, &Env::new(), Want::Any);
    let bound = sources.iter().map(|(name, source)| (name, compiled(source).unwrap())).collect::<Vec<_>>();
    let mut vars = Vars::new();
    for (name, program) in &bound {
        vars = vars.with(name, program.eval(&Vars::new(), &mut Budget::default()).unwrap());
    }
    let program =
        Program::compile(case.str("expr").unwrap(), &env, Want::Any).map_err(|fault| refused(&fault))?;
    let kind = program.result().to_string();
    if case.get("value").is_none() && case.get("type").is_some() {
        return Ok(Found { value: None, kind });
    }
    let value = program.eval(&vars, &mut Budget::default()).map_err(|error| error.to_string())?;
    Ok(Found { value: Some(notation(&value)), kind })
}

#[derive(Debug)]
struct Found {
    /// None where the specification only asks for the type.
    value: Option<String>,
    kind: String,
}

fn is_wanted(case: &Object, found: &Result<Found, String>) -> bool {
    let Ok(found) = found else { return case.get("fails").is_some() };
    let kind = case.str("type").map(|kind| kind.replace("optional_type(", "optional("));
    case.get("fails").is_none()
        && case.str("value") == found.value.as_deref()
        && kind.is_none_or(|kind| kind == found.kind)
}

/// Why it may be otherwise here: by the case's name, by what was said, or since nothing runs here unchecked.
fn reason(case: &Object, found: &Result<Found, String>) -> Option<&'static str> {
    let name = case.str("name").unwrap();
    if let Some((_, why)) = NAMED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Some(why);
    }
    let said = found.as_ref().err()?;
    let by_words = SAID.iter().find(|(part, _)| said.contains(part)).map(|(_, why)| *why);
    by_words.or_else(|| (case.get("unchecked").is_some() && said.starts_with("! refused")).then_some(STATIC))
}

/// A type as the peer writes it.
fn type_of(text: &str) -> Type {
    let inner = |text: &str, name: &str| {
        text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned)
    };
    match text {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "null_type" | "null" => Type::Null,
        "timestamp" | "google.protobuf.Timestamp" => Type::Timestamp,
        "duration" | "google.protobuf.Duration" => Type::Duration,
        _ => {
            if let Some(item) = inner(text, "list") {
                return Type::list(type_of(&item));
            }
            let pair = inner(text, "map").and_then(|pair| {
                pair.split_once(", ").map(|(key, value)| (key.to_owned(), value.to_owned()))
            });
            pair.map_or(Type::Dyn, |(key, value)| Type::map(type_of(&key), type_of(&value)))
        }
    }
}

/// How many cases hold.
const HELD: usize = 1_631;
/// How many do not, and why. A longer list is a decision.
const ASIDE: &[(&str, usize)] = &[
    ("messages of protobuf", 705),
    (ONE_TYPE, 83),
    (STATIC, 27),
    (BLOCK, 25),
    (DOTTED, 12),
    (BACKTICKS, 6),
    ("functions that the host program brings", 5),
    (EXACT, 4),
    (OPEN, 4),
    (LATER, 2),
    (MAPPED, 2),
    (HIDDEN, 1),
    (WHOLE, 1),
];

/// Reasons by the beginning of a case's name.
const NAMED: &[(&str, &str)] = &[
    ("block_ext", BLOCK),
    ("comparisons/lt_literal/not_lt_dyn_int_big_lossy_double", EXACT),
    ("comparisons/gt_literal/not_gt_dyn_big_double_int", EXACT),
    ("comparisons/lte_literal/lte_dyn_big_double_int", EXACT),
    ("comparisons/gte_literal/gte_dyn_int_big_lossy_double", EXACT),
    ("fields/qualified_identifier_resolution", DOTTED),
    ("namespace", DOTTED),
    ("network_ext/ipv4/ipv4_equals_ipv6", MAPPED),
    ("network_ext/ipv4/ipv4_not_equals_ipv6", MAPPED),
    ("string_ext/value_errors/indexof_out_of_range", LATER),
    ("string_ext/value_errors/lastindexof_out_of_range", LATER),
    ("timestamps/duration_converters/get_milliseconds", WHOLE),
    ("type_deductions/flexible_type_parameter_assignment/list_parameter", OPEN),
    ("type_deductions/flexible_type_parameter_assignment/optional_none", OPEN),
];

/// Reasons by what is said.
const SAID: &[(&str, &str)] = &[
    ("must be of one type", ONE_TYPE),
    ("names that begin with a dot", DOTTED),
    ("is the name of a variable; choose another one", HIDDEN),
    ("write claims[\"a-b\"]", BACKTICKS),
];

const ONE_TYPE: &str = "literals hold one type, as Kubernetes demands";
const STATIC: &str = "what the static check refuses, as Kubernetes does";
const BLOCK: &str = "a form that only optimizers write";
const DOTTED: &str = "variables have no dots in their names";
const BACKTICKS: &str = "names in backticks are refused, as Kubernetes does";
const EXACT: &str = "ints and doubles are compared exactly";
const OPEN: &str = "what an empty list or `optional.none()` holds is left open (`dyn`)";
const LATER: &str = "a later version of the strings library than Kubernetes has";
const MAPPED: &str = "IPv4 addresses within IPv6 are refused, as Kubernetes does";
const HIDDEN: &str = "a macro's name may not hide a variable";
const WHOLE: &str = "`getMilliseconds()` of a duration counts all of it, as Kubernetes does";
