//! Tokens to a tree, by operator precedence. Depth is counted, so that no source can exhaust the stack.

use crate::ast::{Expr, Kind, Literal, MAX_HEIGHT};
use crate::fault::Complaint;
use crate::lex::{Lexeme, Token, lex};
use crate::macros;

/// Reads a whole expression.
pub(crate) fn parse(source: &str) -> Result<Expr, Complaint> {
    if source.chars().count() > MAX_SOURCE {
        return Err(Complaint::new(0, format!("the expression is longer than {MAX_SOURCE} characters")));
    }
    let mut parser = Parser { tokens: lex(source)?, next: 0, depth: 0 };
    if parser.peek() == &Lexeme::End {
        return Err(Complaint::new(0, "the expression is empty"));
    }
    let expr = parser.expression()?;
    match parser.peek() {
        Lexeme::End => Ok(expr),
        other => Err(Complaint::new(parser.at(), format!("expected an operator or the end, found {other}"))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

/// An operand and the operator behind it, until the right side is read.
struct Waiting {
    operand: Expr,
    name: &'static str,
    strength: u8,
    at: usize,
}

type Parsed = Result<Expr, Complaint>;

impl Parser {
    fn peek(&self) -> &Lexeme {
        self.tokens.get(self.next).map_or(&Lexeme::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |token| token.at)
    }

    fn take(&mut self) -> (Lexeme, usize) {
        let taken = (self.peek().clone(), self.at());
        self.next += 1;
        taken
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Lexeme::Sign(s) if *s == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str, whose: &str) -> Result<(), Complaint> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(Complaint::new(self.at(), format!("expected `{sign}` {whose}, found {}", self.peek())))
    }

    /// A node; refused when the tree gets too high.
    fn node(kind: Kind, at: usize) -> Parsed {
        let node = Expr::new(kind, at);
        if node.height > MAX_HEIGHT { Err(too_deep(at)) } else { Ok(node) }
    }

    fn call(name: &str, at: usize, args: Vec<Expr>) -> Parsed {
        Self::node(Kind::Call { name: name.to_owned(), receiver: None, args }, at)
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_HEIGHT {
            return Err(too_deep(self.at()));
        }
        let condition = self.chain()?;
        let at = self.at();
        let parsed = if self.take_sign("?") {
            let then = self.chain()?;
            self.expect(":", "of the `?`")?;
            let otherwise = self.expression()?;
            Self::node(Kind::If(Box::new([condition, then, otherwise])), at)
        } else {
            Ok(condition)
        };
        self.depth -= 1;
        parsed
    }

    /// A chain of infix operators. Those that wait for their right side stand in a list, not on the stack, so that a
    /// level of parentheses costs the same stack whatever operators it holds.
    fn chain(&mut self) -> Parsed {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut operand = self.unary()?;
        loop {
            let next = self.infix();
            let strength = next.map_or(0, |(_, strength)| strength);
            while let Some(left) = waiting.pop_if(|left| left.strength >= strength) {
                operand = Self::combined(left, operand)?;
            }
            let Some((name, strength)) = next else { return Ok(operand) };
            let (_, at) = self.take();
            waiting.push(Waiting { operand, name, strength, at });
            operand = self.unary()?;
        }
    }

    /// A chain of one connective becomes one node; its height stays what its highest operand needs.
    fn combined(left: Waiting, right: Expr) -> Parsed {
        let Waiting { operand, name, at, .. } = left;
        match (name, operand) {
            ("_&&_", Expr { kind: Kind::And(mut all), at, .. }) => {
                all.push(right);
                Self::node(Kind::And(all), at)
            }
            ("_||_", Expr { kind: Kind::Or(mut all), at, .. }) => {
                all.push(right);
                Self::node(Kind::Or(all), at)
            }
            ("_&&_", operand) => Self::node(Kind::And(vec![operand, right]), at),
            ("_||_", operand) => Self::node(Kind::Or(vec![operand, right]), at),
            (name, operand) => Self::call(name, at, vec![operand, right]),
        }
    }

    /// CEL's name for the operator that comes next, and how strongly it binds.
    fn infix(&self) -> Option<(&'static str, u8)> {
        let sign = match self.peek() {
            Lexeme::Sign(sign) => sign,
            Lexeme::Ident(word) if word == "in" => "in",
            _ => return None,
        };
        INFIX.iter().find(|(written, ..)| *written == sign).map(|(_, name, strength)| (*name, *strength))
    }

    /// `!` and `-`; a pair of them leaves its operand as it is.
    fn unary(&mut self) -> Parsed {
        let at = self.at();
        let sign = match self.peek() {
            Lexeme::Sign(sign @ ("!" | "-")) => *sign,
            _ => return self.member(),
        };
        let mut odd = false;
        while self.take_sign(sign) {
            odd = !odd;
        }
        if sign == "-" && odd && matches!(self.peek(), Lexeme::Int(_) | Lexeme::Double(_)) {
            let number = self.number(true)?;
            return self.postfix(number);
        }
        let operand = self.member()?;
        if !odd {
            return Ok(operand);
        }
        Self::call(if sign == "!" { "!_" } else { "-_" }, at, vec![operand])
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut operand: Expr) -> Parsed {
        loop {
            let at = self.at();
            if self.take_sign(".") {
                operand = self.selected(operand)?;
            } else if self.take_sign("[") {
                let name = if self.take_sign("?") { "_[?_]" } else { "_[_]" };
                let index = self.expression()?;
                self.expect("]", "after the index")?;
                operand = Self::call(name, at, vec![operand, index])?;
            } else if matches!(self.peek(), Lexeme::Sign("{")) {
                return Err(Complaint::new(at, "messages (`Type{…}`) are not supported"));
            } else {
                return Ok(operand);
            }
        }
    }

    fn selected(&mut self, operand: Expr) -> Parsed {
        let maybe = self.take_sign("?");
        let (name, at) = match self.take() {
            (Lexeme::Ident(name), at) if !KEYWORDS.contains(&name.as_str()) => (name, at),
            (Lexeme::Ident(name), at) => {
                let complaint = Complaint::new(at, format!("`{name}` is a keyword"));
                return Err(complaint.hint(format!("write [\"{name}\"]")));
            }
            (other, at) => {
                return Err(Complaint::new(at, format!("expected a name after `.`, found {other}")));
            }
        };
        if maybe {
            return Self::node(Kind::SelectMaybe(Box::new(operand), name), at);
        }
        if self.take_sign("(") {
            let args = self.list(")", "after the arguments", false)?;
            return Self::node(macros::expand(name, Some(operand), args, at)?, at);
        }
        Self::node(Kind::Select(Box::new(operand), name), at)
    }

    fn primary(&mut self) -> Parsed {
        let (lexeme, at) = (self.peek().clone(), self.at());
        match lexeme {
            Lexeme::Int(_) | Lexeme::Uint(_) | Lexeme::Double(_) => self.number(false),
            Lexeme::Bytes(bytes) => {
                self.take();
                Ok(Expr::new(Kind::Literal(Literal::Bytes(bytes)), at))
            }
            Lexeme::Ident(name) => self.named(name),
            Lexeme::Str(text) => {
                self.take();
                Ok(Expr::new(Kind::Literal(Literal::Str(text)), at))
            }
            Lexeme::Sign("(") => {
                self.take();
                let inner = self.expression()?;
                self.expect(")", "to close the parenthesis")?;
                Ok(inner)
            }
            Lexeme::Sign("[") => {
                self.take();
                let items = self.list("]", "to close the list", true)?;
                Self::node(Kind::List(items), at)
            }
            Lexeme::Sign("{") => {
                self.take();
                self.map(at)
            }
            Lexeme::Sign(".") => Err(Complaint::new(at, "names that begin with a dot are not supported")),
            other => Err(Complaint::new(at, format!("expected a value, found {other}"))),
        }
    }

    fn number(&mut self, negative: bool) -> Parsed {
        let (lexeme, at) = self.take();
        let literal = match lexeme {
            Lexeme::Double(d) => Some(Literal::Double(if negative { -d } else { d })),
            Lexeme::Int(n) if negative => 0_i64.checked_sub_unsigned(n).map(Literal::Int),
            Lexeme::Uint(n) => Some(Literal::Uint(n)),
            Lexeme::Int(n) => i64::try_from(n).ok().map(Literal::Int),
            _ => None,
        };
        let literal = literal.ok_or_else(|| Complaint::new(at, "the integer does not fit in 64 bits"))?;
        Ok(Expr::new(Kind::Literal(literal), at))
    }

    fn named(&mut self, name: String) -> Parsed {
        let (_, at) = self.take();
        let literal = match name.as_str() {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            _ => None,
        };
        if let Some(literal) = literal {
            return Ok(Expr::new(Kind::Literal(literal), at));
        }
        if name == "in" || RESERVED.contains(&name.as_str()) {
            return Err(Complaint::new(at, format!("`{name}` is a reserved word")));
        }
        if !self.take_sign("(") {
            return Ok(Expr::new(Kind::Ident(name), at));
        }
        let args = self.list(")", "after the arguments", false)?;
        Self::node(macros::expand(name, None, args, at)?, at)
    }

    /// Expressions between commas up to the closing sign.
    fn list(&mut self, close: &str, whose: &str, may_trail: bool) -> Result<Vec<Expr>, Complaint> {
        let mut items = Vec::new();
        if self.take_sign(close) {
            return Ok(items);
        }
        loop {
            let item = if close == "]" { self.item()? } else { self.expression()? };
            items.push(item);
            let comma = self.take_sign(",");
            if !comma {
                self.expect(close, whose)?;
                return Ok(items);
            }
            if may_trail && self.take_sign(close) {
                return Ok(items);
            }
        }
    }

    /// An item of a list: `?x` is left out if it is none.
    fn item(&mut self) -> Parsed {
        let at = self.at();
        if self.take_sign("?") {
            let value = self.expression()?;
            return Self::node(Kind::Maybe(Box::new(value)), at);
        }
        self.expression()
    }

    fn map(&mut self, at: usize) -> Parsed {
        let mut entries = Vec::new();
        while !self.take_sign("}") {
            let (maybe, at) = (self.take_sign("?"), self.at());
            let key = self.expression()?;
            self.expect(":", "after the map's key")?;
            let value = self.expression()?;
            entries.push((key, if maybe { Self::node(Kind::Maybe(Box::new(value)), at)? } else { value }));
            if !self.take_sign(",") {
                self.expect("}", "to close the map")?;
                break;
            }
        }
        Self::node(Kind::Map(entries), at)
    }
}

fn too_deep(at: usize) -> Complaint {
    Complaint::new(at, format!("the expression is nested more than {MAX_HEIGHT} deep"))
}

/// As written, as CEL calls it, how strongly it binds; all of them bind to the left.
const INFIX: [(&str, &str, u8); 14] = [
    ("||", "_||_", 1),
    ("&&", "_&&_", 2),
    ("==", "_==_", 3),
    ("!=", "_!=_", 3),
    ("<", "_<_", 3),
    ("<=", "_<=_", 3),
    (">", "_>_", 3),
    (">=", "_>=_", 3),
    ("in", "@in", 3),
    ("+", "_+_", 4),
    ("-", "_-_", 4),
    ("*", "_*_", 5),
    ("/", "_/_", 5),
    ("%", "_%_", 5),
];
/// No name at all, not even of a field.
const KEYWORDS: [&str; 4] = ["true", "false", "null", "in"];
/// No name of a variable or function (CEL specification, "Syntax").
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
];
/// Characters; a policy longer than that is not read by people either.
const MAX_SOURCE: usize = 10_240;
