//! What goes wrong in an evaluation, and how it is said.

use crate::value::Value;

/// Why an evaluation has no value. It names keys that the expression asks for, never the claims' values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct EvalError {
    /// Counted from 1.
    pub line: usize,
    /// Counted in characters from 1.
    pub column: usize,
    /// What went wrong there.
    pub problem: Problem,
}

/// What went wrong while running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The claims lack it.
    #[error("there is no `{0}`")]
    Absent(String),
    /// The claims hold something of another kind.
    #[error("not possible with {0}")]
    Mismatch(String),
    /// A result does not fit in 64 bits.
    #[error("the integer overflows")]
    Overflow,
    /// A timestamp or duration outside what there is.
    #[error("the time is out of range")]
    TimeRange,
    /// Division or remainder by integer zero.
    #[error("division by zero")]
    DivisionByZero,
    /// An index outside the list or string.
    #[error("{0} is out of range")]
    OutOfRange(i64),
    /// A string that cannot be converted.
    #[error("the string is no {0}")]
    Malformed(&'static str),
    /// Something that a function does not do.
    #[error("{0}")]
    Impossible(&'static str),
    /// A computed regular expression that does not compile.
    #[error("{0}")]
    BadPattern(String),
    /// The value of an optional that has none.
    #[error("the optional has no value")]
    NoValue,
    /// A map got one key twice.
    #[error("the map has a key twice")]
    DuplicateKey,
    /// The host did not bind a declared variable.
    #[error("the variable `{0}` has no value")]
    Unbound(String),
    /// The value is not of the kind the place asks for.
    #[error("expected {wanted}, found {found}")]
    Unwanted {
        /// What the place asks for.
        wanted: &'static str,
        /// What the expression made.
        found: &'static str,
    },
    /// The budget is spent.
    #[error("the expression costs too much")]
    Exhausted,
}

/// A problem and the byte offset where it arose.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

/// The problem of a function or operator that got these.
pub(crate) fn mismatch(args: &[Value<'_>]) -> Problem {
    Problem::Mismatch(args.iter().map(Value::kind).collect::<Vec<_>>().join(", "))
}
