//! Names and rules that are expressions, evaluated as the API server does.

use expr::{Budget, Env, List, Program, Type, Value, Vars};
use wire::json::{Object, Value as Json};

use super::KubeUser;
use crate::refusal::Refusal;

/// An expression that must be true.
#[derive(Debug)]
pub struct Rule {
    /// What must hold.
    pub program: Program,
    /// What is logged if it does not.
    pub message: String,
}

/// What expressions over claims may read.
pub(crate) fn claims_env() -> Env {
    Env::new().with("claims", Type::kubernetes_claims()).only_kubernetes()
}

/// What `userValidationRules` may read.
pub(crate) fn user_env() -> Env {
    let user = Type::object(
        "kubernetes.UserInfo",
        [
            ("username", Type::String),
            ("uid", Type::String),
            ("groups", Type::list(Type::String)),
            ("extra", Type::map(Type::String, Type::list(Type::String))),
        ],
    );
    Env::new().with("user", user).only_kubernetes()
}

/// The claims with every number a double, as Go's JSON gives them to the API server's expressions.
#[expect(clippy::cast_precision_loss, reason = "Go loses the same bits")]
pub(super) fn as_go_reads(claims: &Object) -> Object {
    fn value(found: &Json) -> Json {
        match found {
            Json::Int(i) => Json::Float(*i as f64),
            Json::List(items) => Json::List(items.iter().map(value).collect()),
            Json::Object(object) => Json::Object(as_go_reads(object)),
            other => other.clone(),
        }
    }
    let members = claims.iter().map(|(name, found)| (name.to_owned(), value(found))).collect();
    Object::from_members(members).unwrap_or_default()
}

/// The claims that hold a number which Go's JSON would round for the API server's expressions, at any depth: two accounts whose
/// numbers differ in the last digits would be one there.
pub(super) fn rounded(claims: &Object) -> impl Iterator<Item = &str> {
    fn is_rounded(found: &Json) -> bool {
        match found {
            Json::Int(i) => i.unsigned_abs() > 1 << 53,
            // More digits than an integer has here were rounded when they were read.
            Json::Float(f) => f.abs() >= EXACT,
            Json::List(items) => items.iter().any(is_rounded),
            Json::Object(object) => object.iter().any(|(_, found)| is_rounded(found)),
            _ => false,
        }
    }
    claims.iter().filter(|(_, found)| is_rounded(found)).map(|(name, _)| name)
}

/// Whether an expression may look at this claim.
pub(super) fn reads(program: &Program, claim: &str) -> bool {
    program.reads().iter().any(|path| match &path[..] {
        [root, name, ..] => root == "claims" && name == claim,
        [root] => root == "claims",
        [] => false,
    })
}

/// The value of an expression that must be a string.
pub(super) fn string(program: &Program, read: Option<&Object>, what: &str) -> Result<String, Refusal> {
    match eval(program, read, what)? {
        Value::Str(text) => Ok(text.into_owned()),
        other => Err(unfit(what, "a string", &other)),
    }
}

/// The value of an expression that must be strings: a string, a list of strings, or null; empty ones are left out.
pub(super) fn strings(program: &Program, read: Option<&Object>, what: &str) -> Result<Vec<String>, Refusal> {
    let found = match eval(program, read, what)? {
        Value::Null => Vec::new(),
        Value::Str(text) => vec![text.into_owned()],
        // Go parts texts into a list of another type, which the API server does not take; `.map(x, x)` makes a usual one.
        Value::List(List::Parts(_)) => {
            return Err(Refusal::Claims(format!(
                "error evaluating {what} claim expression: the API server takes no bare result of split or findAll; \
                 write .map(x, x) behind it"
            )));
        }
        Value::List(list) => list
            .iter()
            .map(|item| match item {
                Value::Str(text) => Ok(text.into_owned()),
                other => Err(unfit(what, "a string or a list of strings", &other)),
            })
            .collect::<Result<_, _>>()?,
        other => return Err(unfit(what, "a string or a list of strings", &other)),
    };
    Ok(found.into_iter().filter(|text| !text.is_empty()).collect())
}

/// Every rule over the claims.
pub(super) fn check_claims(rules: &[Rule], read: Option<&Object>) -> Result<(), Refusal> {
    let empty = Object::default();
    let vars = Vars::new().with("claims", read.unwrap_or(&empty));
    check(rules, &vars, "claim validation expression")
}

/// Every rule over the user.
pub(super) fn check_user(rules: &[Rule], user: &KubeUser) -> Result<(), Refusal> {
    if rules.is_empty() {
        return Ok(());
    }
    let extra = user.extra.iter().map(|(key, values)| (Value::from(key.as_str()), Value::from(&values[..])));
    let seen = Value::object([
        ("username", Value::from(user.name.as_str())),
        ("uid", Value::from(user.uid.as_str())),
        ("groups", Value::from(&user.groups[..])),
        ("extra", Value::from(extra.collect::<Vec<_>>())),
    ]);
    check(rules, &Vars::new().with("user", seen), "user info validation rule")
}

fn check(rules: &[Rule], vars: &Vars<'_>, what: &str) -> Result<(), Refusal> {
    for rule in rules {
        match rule.program.eval_bool(vars, &mut Budget::default()) {
            Ok(true) => {}
            Ok(false) => {
                let Rule { program, message } = rule;
                return Err(Refusal::Claims(format!(
                    "validation expression '{}' failed: {message}",
                    program.source()
                )));
            }
            Err(error) => return Err(Refusal::Claims(format!("error evaluating {what}: {error}"))),
        }
    }
    Ok(())
}

fn eval<'a>(program: &'a Program, read: Option<&'a Object>, what: &str) -> Result<Value<'a>, Refusal> {
    let vars = read.map_or_else(Vars::new, |read| Vars::new().with("claims", read));
    program
        .eval(&vars, &mut Budget::default())
        .map_err(|error| Refusal::Claims(format!("error evaluating {what} claim expression: {error}")))
}

fn unfit(what: &str, wanted: &str, found: &Value<'_>) -> Refusal {
    let found = found.kind();
    Refusal::Claims(format!("error evaluating {what} claim expression: it must return {wanted}, not {found}"))
}

/// Up to here a double holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;
