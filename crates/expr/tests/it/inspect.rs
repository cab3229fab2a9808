//! What the policy's index and its checks learn from a program.

use expr::{Budget, Env, NoJson, Program, Type, Vars, Want};
use wire::json::{Object, Value};

use crate::env;

fn conjuncts(source: &str) -> Vec<String> {
    let program = Program::compile(source, &env(), Want::Bool).unwrap();
    program.literal_conjuncts().iter().map(|c| format!("{}={}", c.path.join("/"), c.value)).collect()
}

#[test]
fn conjuncts_are_of_the_outermost_and() {
    for (source, want) in [
        ("claims.x == 'a'", vec!["claims/x=a"]),
        ("'a' == claims.x", vec!["claims/x=a"]),
        ("claims['x'] == 'a'", vec!["claims/x=a"]),
        (r#"claims["kubernetes.io"].pod["name"] == 'a'"#, vec!["claims/kubernetes.io/pod/name=a"]),
        (
            "claims.x == 'a' && (claims.y == 'b' && 'c' == claims.z) && claims.n == 1",
            vec!["claims/x=a", "claims/y=b", "claims/z=c"],
        ),
        ("(claims.x == 'a')", vec!["claims/x=a"]),
        ("user.username == 'a' && true", vec!["user/username=a"]),
        ("claims.x == 'a' || claims.y == 'b'", vec![]),
        ("!(claims.x == 'a')", vec![]),
        ("claims.x != 'a'", vec![]),
        ("(claims.x == 'a') == false", vec![]),
        ("claims.x == 'a' ? false : true", vec![]),
        ("claims.x == claims.y", vec![]),
        ("claims.x == 'a' + 'b'", vec![]),
        ("claims[claims.k] == 'a'", vec![]),
        ("claims.x[0] == 'a'", vec![]),
        ("'a' == 'a'", vec![]),
        ("claims.x == 'a' && (claims.y == 'b' || claims.z == 'c')", vec!["claims/x=a"]),
        ("'a' in claims.x && has(claims.y)", vec![]),
        ("claims.x.exists(i, i == 'a' && claims.y == 'b')", vec![]),
        ("claims.x == 'a' && claims.y.all(i, claims.z == 'b')", vec!["claims/x=a"]),
        ("cel.bind(i, claims.x, i == 'a' && claims.y == 'b')", vec![]),
        ("[claims.x].map(i, i == 'a')[0]  == true", vec![]),
        ("claims.?x.orValue('a') == 'a'", vec![]),
        ("claims.?x == optional.of('a')", vec![]),
        ("claims[?'x'] == optional.of('a')", vec![]),
        ("!!(claims.x == 'a')", vec!["claims/x=a"]),
    ] {
        assert_eq!(conjuncts(source), want, "{source}");
    }
}

/// Whenever the whole is true, so is every conjunct: over all small claim sets, for expressions of all kinds.
#[test]
fn conjuncts_are_sound() {
    let values = ["absent", r#""a""#, r#""b""#, "1", "null", r#"["a"]"#, r#"{"y":"a"}"#];
    let sources = [
        "claims.x == 'a' && claims.y == 'b'",
        "claims.x == 'a' && claims.y != 'b'",
        "claims.x == 'a' || claims.y == 'b'",
        "(claims.x == 'a' || claims.y == 'b') && claims.x == 'b'",
        "claims.x.y == 'a' && true",
        "claims.x == 'a' && claims.x == 'b'",
        "has(claims.x) && 'a' == claims['x'] && claims.missing != 'a'",
        "claims.y == 'a' ? claims.x == 'a' : claims.x == 'b'",
    ];
    let mut held = 0;
    let cases = sources.iter().flat_map(|source| values.map(|x| values.map(|y| (source, x, y)))).flatten();
    for (source, x, y) in cases {
        let member = |name: &str, text: &str| (text != "absent").then(|| format!("\"{name}\":{text}"));
        let members = [member("x", x), member("y", y)].into_iter().flatten().collect::<Vec<_>>().join(",");
        let claims = Object::parse(format!("{{{members}}}").as_bytes()).unwrap();
        let program = Program::compile(source, &env(), Want::Bool).unwrap();
        if program.eval_bool(&Vars::new().with("claims", &claims), &mut Budget::default()) != Ok(true) {
            continue;
        }
        held += 1;
        for conjunct in program.literal_conjuncts() {
            let mut fields = conjunct.path.iter().skip(1);
            let first = fields.next().and_then(|name| claims.get(name));
            let found = fields.try_fold(first.unwrap(), |value, name| value.as_object()?.get(name));
            assert_eq!(found.and_then(Value::as_str), Some(conjunct.value.as_str()), "{source} on {members}");
        }
    }
    assert!(held > 5);
}

#[test]
fn reads_literals_and_constants() {
    let program = Program::compile(
        "has(claims.email) && claims['email_verified'] == true && claims.a.b[claims.k] in ['x', 'y']",
        &env(),
        Want::Bool,
    )
    .unwrap();
    let reads = program.reads().iter().map(|path| path.join(".")).collect::<Vec<_>>();
    assert_eq!(reads, ["claims.a.b", "claims.email", "claims.email_verified", "claims.k"]);
    assert_eq!(program.literals(), ["x", "y"]);
    assert!(!program.is_constant());
    let constant = Program::compile("'system:' + 'masters'", &env(), Want::String).unwrap();
    assert!(constant.is_constant());
    assert_eq!(constant.literals(), ["masters", "system:"]);
    assert_eq!(constant.eval_string(&Vars::new(), &mut Budget::default()).unwrap(), "system:masters");
}

#[test]
fn values_go_back_to_json() {
    let json = |source: &str| {
        let program = Program::compile(source, &env(), Want::Any).unwrap();
        let claims = crate::claims();
        let vars = Vars::new().with("claims", &claims);
        program.eval(&vars, &mut Budget::default()).unwrap().to_json()
    };
    let parse = |text: &str| Some(Value::parse(text.as_bytes()).unwrap());
    assert_eq!(json("claims").ok(), parse(crate::CLAIMS));
    assert_eq!(json("{'a': [1, claims.one_and_half], 'b': []}").ok(), parse(r#"{"a":[1,1.5],"b":[]}"#));
    assert_eq!(json("{1: 2}"), Err(NoJson::Key("int")));
    assert_eq!(json("1.0 / 0.0"), Err(NoJson::Number));
    assert_eq!(json(&format!("{}{}", "[".repeat(25), "]".repeat(25))), Err(NoJson::TooDeep));
}

#[test]
fn searches_are_found_wherever_they_stand() {
    let env = Env::new().with("a", Type::String).with("b", Type::String);
    let source = r#"a.startsWith("x/") || !(b.matches("^y$") && a.contains(b)) || ["z"] == [a.lowerAscii()] || "q".endsWith("w")"#;
    let program = Program::compile(source, &env, Want::Bool).unwrap();
    let found: Vec<_> =
        program.searches().iter().map(|s| (s.function.as_str(), s.literal.as_str())).collect();
    assert_eq!(found, [("startsWith", "x/"), ("matches", "^y$"), ("endsWith", "w")]);
}

/// What macros name is no claim, and what they look at is.
#[test]
fn reads_are_the_variables_paths() {
    for (source, want) in [
        ("claims.groups.exists(g, g.name == 'a' && claims.x == g)", "claims.groups claims.x"),
        ("claims.?a.b == optional.of(1)", "claims.a"),
        ("claims[?'a'].hasValue()", "claims.a"),
        ("has(claims.a.b)", "claims.a.b"),
        ("cel.bind(c, claims.a, c.b == claims.d)", "claims.a claims.d"),
        ("cel.bind(c, claims, c.email == '')", "claims"),
        ("[1].map(x, [x].map(x, x)).size() == claims.n", "claims.n"),
        ("claims.m.transformMap(k, v, v.x + claims.y) == {}", "claims.m claims.y"),
        ("type(claims.a) == google.protobuf.Timestamp", "claims.a"),
        ("sets.contains(claims.a, ['b'])", "claims.a"),
        ("optional.of(claims.a).optMap(a, a.b).hasValue()", "claims.a"),
    ] {
        let program = Program::compile(source, &env(), Want::Bool).unwrap();
        let reads = program.reads().iter().map(|path| path.join(".")).collect::<Vec<_>>();
        assert_eq!(reads.join(" "), want, "{source}");
    }
}

#[test]
fn a_selected_field_is_known_however_it_is_selected() {
    for (source, selected) in [
        ("claims.email", true),
        ("claims.email.x", true),
        ("has(claims.email)", true),
        ("claims.?email.orValue('')", true),
        ("[1].all(x, claims.email == 'a')", true),
        ("{'a': claims.email}", true),
        ("claims.x.exists(claims, claims.email == 'a')", true),
        ("claims['email']", false),
        ("claims[?'email'].orValue('')", false),
        ("claims.x.email", false),
        ("user.email_verified", false),
    ] {
        let Ok(program) = Program::compile(source, &env(), Want::Any) else { continue };
        assert_eq!(program.selects("claims", "email"), selected, "{source}");
    }
}

#[test]
fn a_loop_over_a_whole_variable_is_known() {
    for (source, loops) in [
        ("claims.map(k, k)", true),
        ("dyn(claims).exists(k, k == 'a')", true),
        ("[claims.exists(k, k == 'a')]", true),
        ("claims.x.map(k, k)", false),
        ("'a' in claims", false),
        ("claims['a'] == 'b'", false),
    ] {
        let program = Program::compile(source, &env(), Want::Any).unwrap();
        assert_eq!(program.loops_over("claims"), loops, "{source}");
    }
}

#[test]
fn the_api_servers_claims_are_not_looped_over_as_they_are() {
    let env = Env::new().with("claims", Type::kubernetes_claims());
    for (source, good) in [
        ("claims.x.exists(i, i == 'a')", false),
        ("claims['x'].map(i, i)", false),
        ("(claims.y == 1 ? claims.x : []).map(i, i)", false),
        ("dyn(claims.x).map(i, i)", true),
        ("claims.x.y.map(i, i)", true),
        ("claims.x == 'a' && claims.x.y[0] == 1 && 'a' in claims.x", true),
    ] {
        assert_eq!(Program::compile(source, &env, Want::Any).is_ok(), good, "{source}");
    }
}
