//! The Go implementation, in the API server's environment, beside ours, on thousands of generated expressions. A
//! difference is explained in `EXPLAINED` or `WITHIN`, or it is a failure.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use expr::{Budget, Env, Fault, Foreign, Program, Type, Value, Vars, Want};
use wire::json::{self, Object};

use crate::generate::{CLAIM_SETS, Generator};

#[test]
#[ignore = "peer: cel-go"]
fn generated_expressions_agree() {
    agree("whole", &Env::new());
}

/// What is accepted here, the API server accepts, and it means the same there.
#[test]
#[ignore = "peer: cel-go"]
fn generated_expressions_agree_with_the_api_server() {
    agree("kubernetes", &Env::new().only_kubernetes());
}

fn agree(mode: &str, env: &Env) {
    let seed = std::env::var_os("OBOL_SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(1);
    let env = env.clone().with("claims", Type::claims());
    let mut generator = Generator::new(seed);
    let cases = (0..GENERATED).map(|n| (generator.expression(), CLAIM_SETS[n % CLAIM_SETS.len()]));
    let cases = cases.collect::<Vec<_>>();
    let questions = cases.iter().map(|(source, claims)| {
        format!("{{\"expr\":{},\"claims\":{claims}}}\n", serde_json::to_string(source).unwrap())
    });
    let said = peer(mode, questions.collect::<String>().into_bytes());
    let answers = said.lines().map(|line| Object::parse(line.as_bytes()).unwrap()).collect::<Vec<_>>();
    assert_eq!(answers.len(), cases.len());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for ((source, claims), answer) in cases.iter().zip(&answers) {
        let ours = ours(source, claims, &env);
        match compare(source, &ours, answer) {
            Ok(kind) => *counts.entry(kind.to_owned()).or_default() += 1,
            Err(why) => wrong.push(format!("{source}\n  on {claims}\n  {why}")),
        }
    }
    println!("{mode}, seed {seed}: {counts:#?}");
    assert!(counts.get("value").copied().unwrap_or_default() > GENERATED / 4, "too few values");
    for kind in [LATER_HERE, LATER_THERE] {
        assert!(counts.get(kind).copied().unwrap_or_default() < GENERATED / 50, "{kind}");
    }
    wrong.sort_by_key(String::len);
    let shown = wrong.iter().take(60).cloned().collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} of {GENERATED} with seed {seed}:\n{}", wrong.len(), shown.join("\n"));
}

/// Whoever reads the page knows what this file knows.
#[test]
fn the_differences_are_documented() {
    let page = include_str!("../../../../docs/cel.md");
    let whys =
        EXPLAINED.iter().map(|(_, why)| *why).chain([UNORDERED]).chain(WITHIN.iter().map(|(.., why)| *why));
    let missing = whys.filter(|why| !page.contains(why)).collect::<std::collections::BTreeSet<_>>();
    assert!(
        missing.is_empty(),
        "docs/cel.md does not say:\n{}",
        missing.into_iter().collect::<Vec<_>>().join("\n")
    );
}

struct Ours {
    shown: String,
    cost: u64,
}

fn ours(source: &str, claims: &str, env: &Env) -> Ours {
    let program = match Program::compile(source, env, Want::Any) {
        Ok(program) => program,
        Err(fault) => return Ours { shown: refused(&fault), cost: 0 },
    };
    let claims = Object::parse(claims.as_bytes()).unwrap();
    let mut budget = Budget::default();
    let shown = match program.eval(&Vars::new().with("claims", &claims), &mut budget) {
        Ok(value) => notation(&value),
        Err(error) => format!("! {error}"),
    };
    Ours { shown, cost: Budget::default().left() - budget.left() }
}

/// What they agree on, or where they do not.
fn compare(source: &str, ours: &Ours, peer: &Object) -> Result<&'static str, String> {
    let cost = peer.get("cost").and_then(json::Value::as_int).unwrap_or_default().cast_unsigned();
    let text = |name: &str| peer.str(name).filter(|text| !text.is_empty());
    let explained = |said: &str| {
        let holds = |part: &str| ours.shown.contains(part) || said.contains(part);
        let simple = EXPLAINED.iter().find(|(part, _)| holds(part)).map(|(_, why)| *why);
        let within = |(function, part, _): &&(&str, &str, &str)| source.contains(function) && holds(part);
        simple.or_else(|| WITHIN.iter().find(within).map(|(.., why)| *why))
    };
    let (found, agreed) = match (text("refused"), text("error"), text("value")) {
        (Some(why), ..) if ours.shown.starts_with("! refused") => {
            let _ = why;
            return Ok("refusal");
        }
        (Some(_), ..) if ours.shown.starts_with('!') => return Ok(LATER_HERE),
        (Some(why), ..) => (format!("the peer refuses: {why}"), false),
        // A failing conversion of a constant is refused here; the peer tells it apart from a refusal.
        (_, Some(_), _) if ours.shown.contains("cannot be made of this") => return Ok("error"),
        (_, Some(_), _) if ours.shown.starts_with("! refused") => return Ok(LATER_THERE),
        (_, Some(_), _) if ours.shown.starts_with('!') => return Ok("error"),
        (_, Some(why), _) => (format!("the peer fails: {why}"), false),
        (_, _, Some(value)) => (format!("the peer finds {value}"), value == ours.shown),
        _ => ("the peer says nothing".to_owned(), false),
    };
    // Which key comes first, the peer says anew each time.
    if let Some(value) = text("value")
        && !agreed
        && sorted(value) == sorted(&ours.shown)
    {
        return Ok(UNORDERED);
    }
    if !agreed {
        return explained(&found).ok_or_else(|| format!("ours: {}\n  {found}", ours.shown));
    }
    if cost > ours.cost * FACTOR + SLACK || ours.cost > cost * FACTOR + SLACK {
        let said = format!("ours costs {}, the peer's {cost}", ours.cost);
        return explained(&said).ok_or(said);
    }
    Ok("value")
}

fn sorted(text: &str) -> Vec<char> {
    let mut letters = text.chars().collect::<Vec<_>>();
    letters.sort_unstable();
    letters
}

pub(crate) fn refused(fault: &Fault) -> String {
    format!("! refused {}", fault.to_string().lines().next().unwrap_or_default())
}

pub(crate) fn peer(mode: &str, questions: Vec<u8>) -> String {
    let Some(program) = std::env::var_os("OBOL_PEER_CEL") else {
        panic!("OBOL_PEER_CEL is not set: run `cargo xtask test`, or `eval \"$(cargo xtask peers)\"` first")
    };
    let mut child =
        Command::new(program).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&questions));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The same notation as the peer's.
pub(crate) fn notation(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => format!("{u}u"),
        Value::Double(d) if d.is_nan() => "dNaN".into(),
        Value::Double(d) => format!("d{:016x}", d.to_bits()),
        Value::Str(text) => format!("s{}", hex(text.as_bytes())),
        Value::Bytes(bytes) => format!("b{}", hex(bytes)),
        Value::Timestamp(time) => format!("t{time}"),
        Value::Duration(nanos) => format!("{nanos}ns"),
        Value::Type(name) => format!("type {name}"),
        Value::Optional(None) => "none".into(),
        Value::Optional(Some(value)) => format!("some {}", notation(value)),
        Value::List(list) => {
            format!("[{}]", list.iter().map(|item| notation(&item)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", notation(&key), notation(&value)));
            let mut entries = entries.collect::<Vec<_>>();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Foreign(foreign) => {
            let name = match foreign.as_ref() {
                Foreign::Ip(_) => "net.IP",
                Foreign::Cidr(_) => "net.CIDR",
                Foreign::Url(_) => "kubernetes.URL",
                Foreign::Quantity(_) => "kubernetes.Quantity",
                Foreign::Semver(_) => "kubernetes.Semver",
                Foreign::Format(_) => "kubernetes.NamedFormat",
            };
            format!("foreign {name}")
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Differences, by what is said on either side.
const EXPLAINED: &[(&str, &str)] = &[
    ("which has no fields", "`.?a` of a map whose keys are no strings is refused at load"),
    ("must be of one type", "literals hold one type, as Kubernetes demands"),
    ("messages (`Type{…}`) are not supported", "messages of protobuf"),
    ("names that begin with a dot", "names with a leading dot are refused"),
    ("is the name of a variable; choose another one", "a macro's name may not hide a variable"),
    ("write claims[\"a-b\"]", "names in backticks are refused, as Kubernetes does"),
];

/// Both refuse, but not at the same time: each infers some types that the other leaves open until it runs.
const UNORDERED: &str = "the peer goes through maps in no order";
const LATER_HERE: &str = "refused there, an error here";
const LATER_THERE: &str = "refused here, an error there";

/// Differences of a function, by its name in the expression and what is said on either side.
const WITHIN: &[(&str, &str, &str)] = &[
    (
        "",
        "type conversion error",
        "the peer tries conversions of constants at load, also where they are not reached",
    ),
    (
        ".reverse()",
        "no such overload: reverse(string)",
        "`reverse` of strings is of a later version than Kubernetes has",
    ),
    (".distinct()", "no such overload: string(", "the peer resolves a call by a type that it left open"),
    (".distinct()", "found no matching overload", "the peer resolves a call by a type that it left open"),
    (".sort()", "found no matching overload", "the peer resolves a call by a type that it left open"),
    (
        ".distinct()",
        "kubernetes.Quantity, ",
        "the peer cannot compare a sum or difference of quantities with `==`",
    ),
    (
        "-9223372036854775808",
        "the peer finds none",
        "the peer overflows where the smallest integer is subtracted",
    ),
    (".max()", "not possible with", "items of different kinds have no largest; the peer takes one of them"),
    (".min()", "not possible with", "items of different kinds have no smallest; the peer takes one of them"),
    (".isSorted()", "not possible with", "items of different kinds have no order; the peer says true"),
    (".sum()", "not possible with", "only numbers and durations are summed up"),
    (".max()", "NaN has no order", "NaN has no order; the peer says so of operators alone"),
    (".min()", "NaN has no order", "NaN has no order; the peer says so of operators alone"),
    (".sort", "NaN has no order", "NaN has no order; the peer says so of operators alone"),
    (".isSorted()", "NaN has no order", "NaN has no order; the peer says so of operators alone"),
    ("asApproximateFloat()", "the peer finds ", "the last bit of an approximate number"),
    ("{", "the map has a key twice", "a key given twice is an error; the peer takes the last one"),
    ("", "reference to undefined type", "the peer takes a list of types for a type's name"),
    ("find", "bad regular expression", "every pattern that is written out is compiled at load"),
    (
        "'%s",
        "the peer finds",
        "within lists and maps, `%s` writes strings and doubles as it does outside of them",
    ),
    ("[?", "not possible with", "only lists and maps have items; the peer finds none in anything else"),
    (".?", "not possible with", "only maps have fields; the peer finds none in anything else"),
    ("{", "not possible with map", "the peer makes a map the key of a map"),
    ("{", "not possible with list", "the peer makes a list the key of a map"),
    (
        "orValue(",
        "found no matching overload",
        "what is in an optional of `dyn` is left open; the peer learns it of what stands in for it",
    ),
    (
        ".optFlatMap(",
        "not possible with",
        "optFlatMap gives an optional or fails; the peer gives what it got",
    ),
    (".indexOf(", "the peer finds", "an empty text is not found behind the end"),
    (
        "[",
        "put all of them into dyn",
        "a literal of several types is refused even where the peer knows one of them late",
    ),
    ("optional.none()", "found no matching overload", "the type of `optional.none()` is `optional(dyn)`"),
    ("{", "not possible with double", "a double is no key of a map (CEL specification, \"Maps\")"),
    ("isInteger()", "", "whether an amount is whole does not depend on how it was calculated"),
    ("asInteger()", "", "whether an amount is whole does not depend on how it was calculated"),
    ("uantity(", "no such overload", "the peer cannot compare a sum or difference of quantities with `==`"),
    (".sub(-9223372036854775808)", "", "the peer overflows where the smallest integer is subtracted"),
    ("{", "the keys of a map are", "the peer makes a list or an optional the key of a map"),
    ("uantity(", "no quantity", "a suffix without a number is no quantity; for the peer it is zero"),
    ("isQuantity(", "", "a suffix without a number is no quantity; for the peer it is zero"),
    ("timestamp(", "", "string() of a timestamp is in UTC; the peer keeps the offset it was written with"),
    ("find(", "costs", "a computed pattern costs what compiling it takes"),
    ("findAll(", "costs", "a computed pattern costs what compiling it takes"),
    ("matches(", "costs", "a computed pattern costs what compiling it takes"),
    ("", "panic: runtime error", "the peer panics"),
    ("[", ": expected type ", "literals of one type and `dyn` are refused where only the API server counts"),
    ("{", ": expected type ", "literals of one type and `dyn` are refused where only the API server counts"),
    ("format(", "error during formatting", "the peer looks into the list of `format` at load"),
    ("[?", "optional(dyn)", "what `[?]` finds in a `dyn` is an optional already at load"),
];

const GENERATED: usize = 6_000;
/// How far the costs of both may be apart, besides the slack of a few steps.
const FACTOR: u64 = 10;
const SLACK: u64 = 60;
