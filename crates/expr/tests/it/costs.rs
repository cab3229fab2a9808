//! What grows with the input is paid for: by how much the cost rises when the input gets a thousand items or characters
//! longer. Less would let a small budget do unbounded work; more would refuse what the API server still answers.

use expr::{Budget, Env, Program, Type, Vars, Want};
use wire::json::Object;

#[test]
fn work_that_grows_with_the_input_is_paid_for() {
    let found = GROWTH.iter().map(|(source, _)| (*source, cost(source, 1_100) - cost(source, 100)));
    let found = found.collect::<Vec<_>>();
    assert_eq!(found, GROWTH);
}

/// Units that an expression takes of claims of that size.
fn cost(source: &str, size: usize) -> u64 {
    let program = Program::compile(source, &Env::new().with("c", Type::claims()), Want::Any)
        .unwrap_or_else(|fault| panic!("{source}: {fault}"));
    let text = "ab".repeat(size / 2);
    let list = (0..size).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let words = vec!["\"x\""; size].join(",");
    let claims = format!(r#"{{"text":"{text}","list":[{list}],"words":[{words}]}}"#);
    let claims = Object::parse(claims.as_bytes()).unwrap();
    let mut budget = Budget::new(10_000_000);
    program
        .eval(&Vars::new().with("c", &claims), &mut budget)
        .unwrap_or_else(|error| panic!("{source}: {error}"));
    10_000_000 - budget.left()
}

/// By how many units, from 100 to 1,100 items or characters.
const GROWTH: &[(&str, u64)] = &[
    ("c.text", 0),
    ("size(c.text)", 100),
    ("size(c.list)", 0),
    ("c.text == c.text", 100),
    ("c.text < c.text", 200),
    ("c.text + c.text", 200),
    (r#"c.text.contains("z")"#, 100),
    ("c.text.startsWith(c.text)", 200),
    ("c.text.endsWith(c.text)", 200),
    (r#"c.text.indexOf("z")"#, 100),
    (r#"c.text.lastIndexOf("z")"#, 100),
    (r#"c.text.replace("a", "cc")"#, 300),
    (r#"c.text.split("b")"#, 600),
    (r#"c.words.join("-")"#, 2_000),
    ("c.text.lowerAscii()", 100),
    ("c.text.upperAscii()", 100),
    ("c.text.trim()", 100),
    ("c.text.substring(1)", 100),
    ("c.text.charAt(1)", 100),
    ("c.text.reverse()", 100),
    (r#"c.text.matches("z$")"#, 100),
    (r#"c.text.find("z")"#, 100),
    (r#"c.text.findAll("a")"#, 600),
    ("strings.quote(c.text)", 200),
    (r#""%s".format([c.text])"#, 300),
    ("bytes(c.text)", 100),
    ("string(bytes(c.text))", 200),
    ("base64.encode(bytes(c.text))", 200),
    ("c.list == c.list", 1_000),
    ("c.list + c.list", 2_000),
    ("-1 in c.list", 1_000),
    ("c.list[0]", 0),
    ("c.list.slice(size(c.list) / 2, size(c.list))", 500),
    ("[c.list, c.list].flatten()", 2_000),
    ("c.list.reverse()", 1_000),
    ("c.words.distinct()", 2_000),
    ("c.list.sort()", 13_400),
    ("c.list.isSorted()", 1_000),
    ("c.list.sum()", 1_000),
    ("c.list.max()", 1_000),
    ("c.list.min()", 1_000),
    ("c.list.indexOf(-1)", 1_000),
    ("c.list.lastIndexOf(-1)", 1_000),
    ("sets.contains(c.list, [-1])", 1_000),
    ("sets.intersects(c.list, [-1])", 1_000),
    (r#"sets.equivalent(c.words, ["x"])"#, 2_000),
    ("c.list.all(x, true)", 2_000),
    ("c.list.exists(x, false)", 2_000),
    ("c.list.exists_one(x, false)", 2_000),
    ("c.list.map(x, x)", 2_000),
    ("c.list.filter(x, false)", 2_000),
    ("c.list.sortBy(x, x)", 14_400),
    ("c.list.transformMap(i, x, x)", 2_000),
    ("lists.range(size(c.list))", 1_000),
    ("math.greatest(c.list.map(x, int(x)))", 4_000),
    ("isIP(c.text)", 100),
    ("isURL(c.text)", 100),
    ("isQuantity(c.text)", 100),
    ("isSemver(c.text)", 100),
    ("format.dns1123Label().validate(c.text)", 2_100),
];
