//! What is refused before any claim exists, and how it is said.

use expr::{Program, Type, Want};

use crate::env;

fn fault(source: &str, want: Want) -> String {
    Program::compile(source, &env(), want).map_or_else(|fault| fault.to_string(), |_| "accepted".to_owned())
}

#[test]
fn says_where_and_what_to_write() {
    let shown = fault("claims.sub == \"ä\" && clams.x", Want::Bool);
    assert_eq!(
        shown,
        "1:22: there is no variable `clams`; did you mean `claims`?\n  | claims.sub == \"ä\" && clams.x\n  |                      ^"
    );
    for (source, want) in [
        ("", "1:1: the expression is empty"),
        ("   // nothing", "1:1: the expression is empty"),
        ("main", "known here: `claims`, `user`, `audience`; a text stands in quotes"),
        ("user.usrname", "1:6: user has no field `usrname`; did you mean `username`?"),
        ("claims.sub.startWith('a')", "1:12: there is no function `startWith`; did you mean `startsWith`?"),
        ("sise(claims)", "did you mean `size`?"),
        ("hass(claims.a)", "did you mean `has`?"),
        ("claims.sub = 'a'", "1:12: `=` does not belong here; equality is `==`"),
        ("claims.a & claims.b", "\"and\" is `&&`"),
        ("claims.a | claims.b", "\"or\" is `||`"),
        ("claims.sub and true", "expected an operator or the end, found `and`"),
        ("'a' + 1", "1:5: `+` is not possible with string and int; put the other side in quotes"),
        ("1 == 1.0", "`==` is not possible with int and double; convert one side with double(…)"),
        ("'1' == 1", "`==` is not possible with string and int"),
        ("[1, 'a']", "1:5: the list's items must be of one type, these are int and string"),
        ("{'a': 1, 'b': 'x'}", "the map's values must be of one type"),
        ("{'a': 1, 2: 2}", "the map's keys must be of one type"),
        ("{1.5: 1}", "the keys of a map are string, int or bool"),
        ("true ? 1 : 'a'", "both sides of `:` must be of one type, these are int and string"),
        ("1 ? 2 : 3", "the condition of `?` must be bool, this is int"),
        ("1 && true", "`&&` needs bool on both sides, this is int"),
        ("true || 'a'", "`||` needs bool on both sides, this is string"),
        ("!1", "`!` is not possible with int"),
        ("-'a'", "`-` is not possible with string"),
        ("-true", "it takes int, or double"),
        ("1 in ['a']", "`in` is not possible with int and list(string)"),
        ("'a' in 'abc'", "`in` is not possible with string and string"),
        ("1 < 'a'", "`<` is not possible with int and string"),
        ("[1] < [2]", "`<` is not possible with list(int) and list(int)"),
        ("null < null", "not possible with null and null"),
        ("'a'.size", "`.size` of string, which has no fields"),
        ("'a'.contains(1)", "it takes string.contains(string)"),
        ("'a'.contains()", "`contains` is not possible with string"),
        ("'a'.substring(1, 2, 3)", "it takes string.substring(int), or string.substring(int, int)"),
        ("size()", "`size` of nothing"),
        ("contains('a', 'b')", "`contains` stands behind its value; write x.contains(…)"),
        ("'a'.string()", "`string` stands before its argument; write string(x)"),
        ("user['username']", "`[]` is not possible with user and string"),
        ("audience['a']", "`[]` is not possible with list(string) and string"),
        ("audience + [1]", "`+` is not possible with list(string) and list(int)"),
        ("string(null)", "`string` is not possible with null"),
        ("has(claims)", "has() takes one field"),
        ("has(claims['a'])", "for an index write \"a-b\" in claims"),
        ("has(claims.a, claims.b)", "has() takes one field"),
        ("has(user.nme)", "user has no field `nme`"),
        ("claims.in", "`in` is a keyword; write [\"in\"]"),
        ("namespace", "`namespace` is a reserved word"),
        ("claims.", "expected a name after `.`, found the end of the expression"),
        ("claims.a.`b-c`", "write claims[\"a-b\"]"),
        ("claims.a-b.c", "there is no variable `b`"),
        ("(1", "expected `)` to close the parenthesis, found the end of the expression"),
        ("[1", "expected `]` to close the list"),
        ("{'a' 1}", "expected `:` after the map's key, found a number"),
        ("claims[1", "expected `]` after the index"),
        ("size('a'", "expected `)` after the arguments"),
        ("size('a',)", "expected a value, found `)`"),
        ("1 +", "expected a value, found the end of the expression"),
        ("1 2", "expected an operator or the end, found a number"),
        ("== 1", "expected a value, found `==`"),
        ("!!true", "`!` directly after `!`"),
        ("--1", "`-` directly after `-`"),
        ("9223372036854775808", "the integer does not fit in 64 bits"),
        ("-9223372036854775809", "the integer does not fit in 64 bits"),
        ("'abc", "1:1: the string is not closed"),
        ("'\\q'", "1:2: unknown escape in the string"),
        ("claims.sub.matches('[')", "bad regular expression"),
        ("claims.sub.matches('(?x)a')", "unknown `(?` in the regular expression"),
        ("claims.sub.matches(claims.pattern)", "`matches` takes its pattern as a string literal only"),
        ("claims.sub.matches('a' + 'b')", "`matches` takes its pattern as a string literal only"),
    ] {
        let found = fault(source, Want::Any);
        assert!(found.contains(want), "{source}\n   want {want}\n  found {found}");
    }
}

#[test]
fn what_cel_has_and_this_has_not_yet_is_named() {
    for source in [
        "claims.groups.exists(g, g == 'a')",
        "claims.groups.all(g, g == 'a')",
        "claims.groups.exists_one(g, g == 'a')",
        "claims.groups.map(g, g)",
        "claims.groups.filter(g, g == 'a')",
        "claims.?sub",
        "claims[?'sub']",
        "{?'a': claims.a}",
        "optional.of(1)",
        "claims.sub.orValue('')",
        "timestamp('2024-01-01T00:00:00Z')",
        "duration('1h')",
        "cel.bind(x, 1, x)",
        "math.greatest(1, 2)",
        "sets.contains([1], [1])",
        "type(1)",
        "uint(1)",
        "1u",
        "b'a'",
        "bytes('a')",
        "ip('127.0.0.1')",
        "cidr('10.0.0.0/8')",
        "url('https://a').getHost()",
        "quantity('1Gi')",
        "semver('1.0.0')",
        "'a'.find('b')",
        "'%s'.format(['a'])",
        "Type{a: 1}",
        ".claims",
    ] {
        let found = fault(source, Want::Any);
        assert!(found.contains("not supported"), "{source}: {found}");
    }
}

#[test]
fn the_place_says_what_it_wants() {
    let accepted = "accepted";
    for (source, want, said) in [
        ("claims.flag", Want::Bool, "expected bool, this is dyn; write `… == true`"),
        ("claims.flag == true", Want::Bool, accepted),
        ("has(claims.a) ? claims.a : false", Want::Bool, "this is dyn"),
        ("'a'", Want::Bool, "expected bool, this is string"),
        ("claims.sub", Want::String, accepted),
        ("'a' + claims.sub", Want::String, accepted),
        ("1", Want::String, "expected string, this is int"),
        ("claims.groups", Want::StringList, accepted),
        ("['a']", Want::StringList, accepted),
        ("[]", Want::StringList, accepted),
        ("'a'", Want::StringList, "expected a list of strings, this is string"),
        ("[1]", Want::StringList, "this is list(int)"),
        ("'a'", Want::Strings, accepted),
        ("null", Want::Strings, accepted),
        ("1", Want::Strings, "expected a string or a list of strings, this is int"),
        ("claims", Want::Strings, "this is map(string, dyn)"),
        ("claims", Want::Any, accepted),
    ] {
        let found = fault(source, want);
        assert!(found.contains(said), "{source} as {want:?}: {found}");
    }
}

#[test]
fn static_types() {
    for (source, want) in [
        ("claims", "map(string, dyn)"),
        ("claims.a.b", "dyn"),
        ("'a' + claims.b", "string"),
        ("claims.a + claims.b", "dyn"),
        ("claims.a + 1", "int"),
        ("claims.a == 1", "bool"),
        ("[claims.a]", "list(dyn)"),
        ("['a', claims.a]", "list(dyn)"),
        ("true ? 'a' : claims.a", "dyn"),
        ("'a'.split(',')", "list(string)"),
        ("'a'.split(',')[0]", "string"),
        ("user.extra['a'][0]", "string"),
        ("user.extra.a", "list(string)"),
        ("{'a': [1]}", "map(string, list(int))"),
        ("claims.a.size()", "int"),
        ("claims.a.split(',')", "list(string)"),
        ("[[]] + [['a']]", "list(list(dyn))"),
    ] {
        let program = Program::compile(source, &env(), Want::Any).unwrap();
        assert_eq!(program.result().to_string(), want, "{source}");
    }
    assert_eq!(Program::compile("1", &env(), Want::Any).unwrap().result(), &Type::Int);
}
