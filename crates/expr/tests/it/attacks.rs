//! The attack list's policy items that an expression can stop: 15 (matching) and 17 (evaluation).

use expr::{Budget, NoJson, Problem, Program, Vars, Want};
use wire::json::Object;

use crate::{check_table, claims, env};

#[test]
fn attack_15_absent_null_and_empty_are_three_things() {
    check_table(&[
        ("claims.missing == ''", "! there is no `missing`"),
        ("claims.missing == null", "! there is no `missing`"),
        ("claims.missing != 'x'", "! there is no `missing`"),
        ("!(claims.missing == 'x')", "! there is no `missing`"),
        ("claims.nothing == ''", "false"),
        ("claims.empty == ''", "true"),
        ("claims.empty == null", "false"),
        ("has(claims.nothing) && claims.nothing != ''", "true"),
    ]);
}

#[test]
fn attack_15_kinds_are_not_converted() {
    check_table(&[
        ("claims.one == '1'", "false"),
        ("claims.number_text == 1", "false"),
        ("claims.flag == 'true'", "false"),
        ("claims.ref_protected == true", "false"),
        ("claims.ref_protected == 'true'", "true"),
        ("claims.one == true", "false"),
        ("claims.aud == 'a'", "false"),
        ("claims.sub == ['repo']", "false"),
        ("claims.big == 9007199254740992", "false"),
        ("claims.big == 9007199254740992.0", "false"),
        ("'RePo:acme/infra:ref:refs/heads/main' == claims.sub", "false"),
        ("'\u{e9}' == 'e\u{301}'", "false"),
        ("'\u{430}' == 'a'", "false"),
    ]);
}

#[test]
fn attack_15_newlines_do_not_end_an_anchored_pattern() {
    check_table(&[
        ("claims.lines.matches('^good$')", "false"),
        ("claims.lines.matches('^evil$')", "false"),
        ("claims.lines.matches('(?m)^evil$')", "true"),
        (r"'good\n'.matches('^good$')", "false"),
        (r"'good\r\n'.matches('^good$')", "false"),
        ("'repo:org-evil/x'.matches('^repo:org/')", "false"),
        ("'repo:org-evil/x'.startsWith('repo:org')", "true"),
        ("'٣'.matches(r'^\\d$')", "false"),
    ]);
}

#[test]
fn attack_15_catastrophic_patterns_stay_linear_and_are_paid_for() {
    let text = format!("{}!", "a".repeat(20_000));
    let object = Object::parse(format!(r#"{{"x":"{text}"}}"#).as_bytes()).unwrap();
    let program = Program::compile("claims.x.matches('^(a+)+$')", &env(), Want::Bool).unwrap();
    let vars = Vars::new().with("claims", &object);
    let mut budget = Budget::default();
    assert_eq!(program.eval_bool(&vars, &mut budget), Ok(false));
    assert!(budget.left() < Budget::default().left() - 2_000);
    let mut budget = Budget::new(1_000);
    assert_eq!(program.eval_bool(&vars, &mut budget).unwrap_err().problem, Problem::Exhausted);
    assert!(Program::compile("claims.x.matches('((a{100}){100}){100}')", &env(), Want::Bool).is_err());
}

#[test]
fn attack_17_a_spent_budget_is_never_taken_for_an_answer() {
    let claims = claims();
    let vars = Vars::new().with("claims", &claims);
    for source in ["claims.sub.contains('x') || true", "claims.sub.contains('x') && false", "!has(claims.x)"]
    {
        let program = Program::compile(source, &env(), Want::Bool).unwrap();
        let mut whole = Budget::default();
        program.eval_bool(&vars, &mut whole).unwrap();
        let cost = Budget::default().left() - whole.left();
        assert!(program.eval_bool(&vars, &mut Budget::new(cost)).is_ok());
        for units in 0..cost {
            let mut budget = Budget::new(units);
            let error = program.eval_bool(&vars, &mut budget).unwrap_err();
            assert_eq!(
                (error.problem, budget.left()),
                (Problem::Exhausted, 0),
                "{source} with {units} of {cost}"
            );
        }
    }
}

#[test]
fn attack_17_results_are_what_the_place_wants() {
    let claims = claims();
    let vars = Vars::new().with("claims", &claims);
    let failed = |source: &str, want| {
        let program = Program::compile(source, &env(), want).unwrap();
        program.eval(&vars, &mut Budget::default()).unwrap_err().to_string()
    };
    assert_eq!(failed("claims.one", Want::String), "1:1: expected string, found int");
    assert_eq!(failed("claims.nothing", Want::String), "1:1: expected string, found null");
    assert_eq!(failed("claims.sub", Want::StringList), "1:1: expected a list of strings, found string");
    assert_eq!(failed("claims.mixed", Want::StringList), "1:1: expected a list of strings, found int");
    assert_eq!(
        failed("claims.mixed", Want::Strings),
        "1:1: expected a string or a list of strings, found int"
    );
    assert_eq!(failed("claims.sub == 'ä' ||\n claims.nope == 1", Want::Bool), "2:9: there is no `nope`");
    let strings = |source: &str| {
        let program = Program::compile(source, &env(), Want::Strings).unwrap();
        let found = program.eval_strings(&vars, &mut Budget::default()).unwrap();
        found.into_iter().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(strings("claims.groups"), ["dev", "ops"]);
    assert_eq!(strings("claims.empty"), [""]);
    assert!(strings("claims.nothing").is_empty());
}

#[test]
fn attack_15_any_and_all_are_two_things() {
    check_table(&[
        ("claims.groups.exists(g, g == 'dev')", "true"),
        ("claims.groups.all(g, g == 'dev')", "false"),
        ("claims.none.all(g, g == 'dev')", "true"),
        ("claims.none.size() > 0 && claims.none.all(g, g == 'dev')", "false"),
        ("claims.none.exists(g, g == 'dev')", "false"),
        ("claims.missing.all(g, g == 'dev')", "! there is no `missing`"),
        ("claims.?missing.orValue([]).exists(g, g == 'dev')", "false"),
        ("claims.sub.exists(g, g == 'dev')", "! not possible with string"),
        ("claims.object.exists(g, g == 'dev')", "false"),
    ]);
}

#[test]
fn attack_15_addresses_have_one_spelling() {
    check_table(&[
        ("isIP('010.0.0.1') || isIP('0x0a000001') || isIP('167772161') || isIP('10.1')", "false"),
        ("isIP('::ffff:169.254.169.254') || isIP('[::1]') || isIP(' ::1')", "false"),
        ("isCIDR('10.0.0.0') || isCIDR('10.0.0.0/+8') || isCIDR('::ffff:10.0.0.0/104')", "false"),
        ("url('https://good.example@evil.example/').getHost()", r#""evil.example""#),
        ("url('https://evil.example#@good.example/').getHost()", "! the string is no URL"),
        ("url('https://evil.example\\\\@good.example/').getHost()", "! the string is no URL"),
    ]);
}

/// Each level multiplies; the budget ends it in this thread.
#[test]
fn attack_17_nested_macros_end_at_the_budget() {
    let numbers = (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let object = Object::parse(format!(r#"{{"l":[{numbers}]}}"#).as_bytes()).unwrap();
    let vars = Vars::new().with("claims", &object);
    for source in [
        "claims.l.map(a, claims.l.map(b, claims.l.map(c, claims.l.map(d, a + b + c + d)))).size() == 1",
        "claims.l.all(a, claims.l.all(b, claims.l.all(c, claims.l.exists(d, d < 0) || true)))",
        "lists.range(1000000000).size() == 1",
        "claims.l.map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').join().split('').map(x, claims.l.map(y, x)).size() == 1",
        "claims.l.exists(x, 'a'.matches(string(x) + '(a{100}){100}'))",
    ] {
        let program = Program::compile(source, &env(), Want::Bool).unwrap();
        let mut budget = Budget::default();
        let error = program.eval_bool(&vars, &mut budget).unwrap_err();
        assert!(matches!(error.problem, Problem::Exhausted | Problem::BadPattern(_)), "{source}: {error}");
    }
}

/// A list that stands in itself many times over is small in memory and endless as JSON.
#[test]
fn attack_17_shared_values_do_not_explode_as_json() {
    let mut source = "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]".to_owned();
    for level in 0..10 {
        source = format!(
            "cel.bind(x{level}, {source}, [x{level}, x{level}, x{level}, x{level}, x{level}, x{level}])"
        );
    }
    let program = Program::compile(&source, &env(), Want::Any).unwrap();
    let value = program.eval(&Vars::new(), &mut Budget::default()).unwrap();
    assert_eq!(value.to_json(), Err(NoJson::TooLarge));
}

#[test]
fn attack_17_a_name_cannot_hide_the_claims() {
    for source in
        ["[1].all(claims, claims == 1)", "cel.bind(claims, {'sub': 'admin'}, claims.sub == 'admin')"]
    {
        assert!(Program::compile(source, &env(), Want::Bool).is_err(), "{source}");
    }
}
