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
    /// `has(operand.field)`
    Has(Box<Expr>, String),
    /// A function, or an operator under CEL's name for it; the receiver of `a.f(b)` comes apart from the arguments.
    Call {
        name: String,
        receiver: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    /// All operands of a chain, side by side: a long chain is not a high tree.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// `condition ? then : otherwise`
    If(Box<[Expr; 3]>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

/// A value written out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(String),
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
}

impl Kind {
    /// The nodes directly below.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Literal(_) | Self::Ident(_) => Box::new(std::iter::empty()),
            Self::Select(operand, _) | Self::Has(operand, _) => Box::new(std::iter::once(operand.as_ref())),
            Self::Call { receiver, args, .. } => Box::new(receiver.as_deref().into_iter().chain(args)),
            Self::And(all) | Self::Or(all) | Self::List(all) => Box::new(all.iter()),
            Self::If(parts) => Box::new(parts.iter()),
            Self::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
        }
    }
}

/// How high a tree may be: parentheses, calls, lists and operator chains other than `&&` and `||`.
pub(crate) const MAX_HEIGHT: usize = 100;
