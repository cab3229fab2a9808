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
        ("isIP(1)", "1:1: `isIP` is not possible with int; it takes isIP(string)\n"),
        ("hass(claims.a)", "did you mean `has`?"),
        ("claims.sub = 'a'", "1:12: `=` does not belong here; equality is `==`"),
        ("claims.a & claims.b", "\"and\" is `&&`"),
        ("claims.a | claims.b", "\"or\" is `||`"),
        ("claims.sub and true", "expected an operator or the end, found `and`"),
        ("'a' + 1", "1:5: `+` is not possible with string and int; put the other side in quotes"),
        ("1 == 1.0", "`==` is not possible with int and double; convert one side with double(…)"),
        ("'1' == 1", "`==` is not possible with string and int"),
        ("[1, 'a']", "1:5: the list's items must be of one type, these are int and string"),
        ("[null, 1]", "1:8: the list's items must be of one type, these are null and int"),
        ("{'a': 1, 'b': 'x'}", "the map's values must be of one type"),
        ("{'a': 1, 2: 2}", "the map's keys must be of one type"),
        ("{1.5: 1}", "the keys of a map are string, int, uint or bool"),
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
        ("!-1", "expected a value, found `-`"),
        ("9223372036854775808", "the integer does not fit in 64 bits"),
        ("-9223372036854775809", "the integer does not fit in 64 bits"),
        ("'abc", "1:1: the string is not closed"),
        ("'\\q'", "1:2: unknown escape in the string"),
        ("claims.sub.matches('[')", "bad regular expression"),
        ("claims.sub.matches('(?x)a')", "unknown `(?` in the regular expression"),
        ("claims.sub.find('[')", "bad regular expression"),
    ] {
        let found = fault(source, Want::Any);
        assert!(found.contains(want), "{source}\n   want {want}\n  found {found}");
    }
}

#[test]
fn the_whole_language_is_checked_too() {
    for (source, want) in [
        ("claims.groups.exists(g)", "`exists` is written e.exists(x, e), or e.exists(x, y, e)"),
        ("claims.groups.exists(g.a, true)", "expected a new name for the item"),
        ("claims.groups.exists(claims, true)", "`claims` is the name of a variable; choose another one"),
        ("claims.groups.exists(a, a, true)", "`a` is named twice"),
        ("[1].exists(x, x == 'a')", "`==` is not possible with int and string"),
        ("[1].exists(x, x)", "expected bool, this is int"),
        (
            "[1].all(item, other == 1)",
            "there is no variable `other`; known here: `claims`, `user`, `audience`, `item`",
        ),
        ("[1].map(x, 1) == ['a']", "`==` is not possible with list(int) and list(string)"),
        ("[1].map(x, 1, 2)", "the condition must be bool, this is int"),
        ("'a'.map(x, x)", "expected a list or a map, this is string"),
        ("x", "there is no variable `x`"),
        ("[1].map(x, x) == [x]", "there is no variable `x`"),
        ("[{}].sortBy(x, x)", "expected something that has an order, this is map(dyn, dyn)"),
        ("{}.transformMapEntry(k, v, 1)", "expected a map, this is int"),
        ("cel.bind(x, 1)", "cel.bind takes a name, its value and an expression"),
        ("cel.bind(x, 1, x + 'a')", "`+` is not possible with int and string"),
        ("optional.of(1).orValue('a')", "`orValue` is not possible with optional(int) and string"),
        ("optional.of(1) + 1", "`+` is not possible with optional(int) and int"),
        ("optional.of(1).optMap(x, x + 'a')", "`+` is not possible with int and string"),
        ("[1].optMap(x, x)", "expected an optional, this is list(int)"),
        ("[?1]", "`?` needs an optional, this is int; write optional.of(…) or a.?b"),
        ("user.?nme", "user has no field `nme`"),
        ("timestamp('yesterday')", "1:11: `timestamp` cannot be made of this"),
        ("duration('1d')", "`duration` cannot be made of this; write \"1h30m\""),
        ("timestamp(0) + 1", "`+` is not possible with timestamp and int"),
        ("1u + 1", "`+` is not possible with uint and int"),
        ("-(1u)", "`-` is not possible with uint"),
        ("b'a' + 'a'", "`+` is not possible with bytes and string"),
        ("sets.contain([1], [1])", "there is no function `sets.contain`; did you mean `sets.contains`?"),
        ("sets.contains([1], ['a'])", "`sets.contains` is not possible with list(int) and list(string)"),
        ("ip('::1').getHost()", "`getHost` is not possible with ip; it takes url.getHost()"),
        ("authorizer.path('/').check('get').allowed()", "asks the API server's authorizer"),
        ("type(1) == 1", "`==` is not possible with type and int"),
        ("Type{a: 1}", "messages (`Type{…}`) are not supported"),
        (".claims", "names that begin with a dot are not supported"),
        (
            "[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, [1].all(f, [1].all(g, true)))))))",
            "nested more than 6 deep",
        ),
    ] {
        let found = fault(source, Want::Any);
        assert!(found.contains(want), "{source}\n   want {want}\n  found {found}");
    }
}

#[test]
fn what_the_api_server_does_not_know_can_be_refused() {
    let env = env().only_kubernetes();
    for (source, want) in [
        ("math.greatest(1, 2) == 2", "1:6: the API server does not know `math.greatest`"),
        ("cel.bind(x, 1, x) == 1", "1:5: the API server does not know `cel.bind`"),
        ("base64.encode(b'a') == ''", "1:8: the API server does not know `base64.encode`"),
        ("[1].reverse() == [1]", "accepted"),
        ("'a'.reverse() == 'a'", "`reverse` is not possible with string"),
        (
            "[1, claims.a] == [1]",
            "1:12: the API server wants the list's items of one type, these are int and dyn",
        ),
        ("{'a': 1, 'b': claims.a} == {}", "the API server wants the map's values of one type"),
        ("'%s %d'.format([claims.a, 1]) == ''", "accepted"),
        ("[dyn(1), claims.a] == [1]", "accepted"),
        ("'a'.split(',').exists(x, x == 'a')", "accepted"),
    ] {
        let found = Program::compile(source, &env, Want::Bool)
            .map_or_else(|fault| fault.to_string(), |_| "accepted".to_owned());
        assert!(found.contains(want), "{source}\n   want {want}\n  found {found}");
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
        ("[null, duration('1s')]", "list(duration)"),
        ("[duration('1s'), null]", "list(duration)"),
    ] {
        let program = Program::compile(source, &env(), Want::Any).unwrap();
        assert_eq!(program.result().to_string(), want, "{source}");
    }
    assert_eq!(Program::compile("1", &env(), Want::Any).unwrap().result(), &Type::Int);
}
