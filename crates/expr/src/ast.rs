//! The syntax tree, as written: no types yet, every node knows where it starts.
//!
//! `height` is kept while building so that no later pass, nor dropping the tree, can recurse further than
//! [`MAX_HEIGHT`].

/// One node.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    /// Byte offset of the sign that names the node: its operator, function name or first letter.
    pub(crate) at: usize,
    pub(crate) height: usize,
}

/// What the node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Literal),
    Ident(String),
    /// `operand.field`
    Select(Box<Expr>, String),
    /// `operand.?field`
    SelectMaybe(Box<Expr>, String),
    /// `has(operand.field)`
    Has(Box<Expr>, String),
    /// A function, or an operator under CEL's name for it; the receiver of `a.f(b)` comes apart from the arguments.
    Call {
        name: String,
        receiver: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    /// A macro that gives names to items.
    Loop(Box<Loop>),
    /// `cel.bind(name, value, body)`
    Bind(String, Box<[Expr; 2]>),
    /// All operands of a chain, side by side: a long chain is not a high tree.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// `condition ? then : otherwise`
    If(Box<[Expr; 3]>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// `?x` within a list or map: left out if it is none.
    Maybe(Box<Expr>),
}

/// `range.form(names…, parts…)`
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) form: Form,
    pub(crate) range: Expr,
    /// One or two.
    pub(crate) names: Vec<String>,
    /// The filter, if two, and the body.
    pub(crate) parts: Vec<Expr>,
}

/// What a loop makes of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    All,
    Exists,
    ExistsOne,
    /// Of a list, or of the keys of a map: `map` and `transformList`.
    Collect,
    Filter,
    TransformMap,
    TransformMapEntry,
    SortBy,
    OptMap,
    OptFlatMap,
}

/// A value written out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(String),
    Bytes(Vec<u8>),
    Type(&'static str),
}

impl Expr {
    pub(crate) fn new(kind: Kind, at: usize) -> Self {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        Self { kind, at, height }
    }

    /// The text, if this is a string literal.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Kind::Literal(Literal::Str(text)) = &self.kind { Some(text) } else { None }
    }

    /// `a.b["c"]` as names, if it is nothing but that.
    pub(crate) fn path(&self) -> Option<Vec<&str>> {
        let mut names = Vec::new();
        let mut node = self;
        loop {
            match &node.kind {
                Kind::Ident(name) => {
                    names.push(name.as_str());
                    names.reverse();
                    return Some(names);
                }
                Kind::Select(operand, field) => {
                    names.push(field);
                    node = operand;
                }
                Kind::Call { name, receiver: None, args } if name == "_[_]" => {
                    let [operand, key] = args.as_slice() else { return None };
                    names.push(key.as_text()?);
                    node = operand;
                }
                _ => return None,
            }
        }
    }

    /// `a.b.c` as it is written, if it is nothing but that.
    pub(crate) fn dotted(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some(name.clone()),
            Kind::Select(operand, field) => operand.dotted().map(|name| format!("{name}.{field}")),
            _ => None,
        }
    }

    /// The name that a path begins with.
    pub(crate) fn root(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(name) => Some(name),
            Kind::Select(operand, _) => operand.root(),
            _ => None,
        }
    }
}

impl Kind {
    /// The nodes directly below.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Literal(_) | Self::Ident(_) => Box::new(std::iter::empty()),
            Self::Select(operand, _)
            | Self::SelectMaybe(operand, _)
            | Self::Has(operand, _)
            | Self::Maybe(operand) => Box::new(std::iter::once(operand.as_ref())),
            Self::Call { receiver, args, .. } => Box::new(receiver.as_deref().into_iter().chain(args)),
            Self::Loop(parts) => Box::new(std::iter::once(&parts.range).chain(&parts.parts)),
            Self::Bind(_, parts) => Box::new(parts.iter()),
            Self::And(all) | Self::Or(all) | Self::List(all) => Box::new(all.iter()),
            Self::If(parts) => Box::new(parts.iter()),
            Self::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
        }
    }
}

/// How high a tree may be: parentheses, calls, lists and operator chains other than `&&` and `||`.
pub(crate) const MAX_HEIGHT: usize = 100;
