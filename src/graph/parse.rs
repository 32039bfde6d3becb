//! Reads the text of a graph back.
//!
//! In: what [`super::print`] writes. Out: the graph, with empty spans, or the line and what is wrong with it. Invariant: what it
//! returns verifies.

use super::builder::check_type;
use super::{Body, Builder, Graph, Role, verify};
use crate::base::{DType, Extent, Shape, Span, Type};
use crate::ops::{Attr, Attrs, Value, find};

type Lines<'a> = std::iter::Peekable<std::vec::IntoIter<(usize, &'a str)>>;

/// The deepest loop in a loop that is read.
const MAX_NESTED: usize = 16;

/// The graph of this text. Empty lines and lines that begin with `//` are passed over.
pub fn parse(text: &str) -> Result<Graph, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with("//"));
    let graph = graph(&mut lines.collect::<Vec<_>>().into_iter().peekable(), 0)?;
    verify(&graph)?;
    Ok(graph)
}

/// The lines that are indented to `depth` bodies, up to the first that is not.
fn graph(lines: &mut Lines<'_>, depth: usize) -> Result<Graph, String> {
    if depth > MAX_NESTED {
        return Err(format!("bodies stand at most {MAX_NESTED} deep in each other"));
    }
    let margin = "  ".repeat(depth);
    let Some((number, head)) = lines.next() else {
        return Err("line 1: a graph begins with `graph \"name\" ()`".into());
    };
    let at = |number: usize| move |e: String| format!("line {}: {e}", number + 1);
    let mut b = parse_head(head.strip_prefix(&margin).unwrap_or(head)).map_err(at(number))?;
    while let Some((number, line)) = lines.next_if(|(_, line)| line.starts_with(&margin)) {
        let mut cursor = Cursor { rest: &line[margin.len()..] };
        if cursor.eat("body ") {
            let mut body = cursor.body(b.graph()).map_err(at(number))?;
            body.graph = graph(lines, depth + 1)?;
            body.verify(&b.graph().symbols).map_err(at(number))?;
            b.body(body);
            continue;
        }
        let parsed = if cursor.eat("output ") { output(&mut b, &mut cursor) } else { node(&mut b, &mut cursor) };
        parsed.map_err(at(number))?;
    }
    Ok(b.finish())
}

fn parse_head(line: &str) -> Result<Builder, String> {
    let mut cursor = Cursor { rest: line };
    cursor.expect("graph ")?;
    let name = cursor.string()?;
    cursor.expect(" (")?;
    let mut symbols = Vec::new();
    while !cursor.eat(")") {
        symbols.push(cursor.word()?.to_string());
        cursor.eat(", ");
    }
    cursor.end()?;
    Ok(Builder::new(name, &symbols.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn output(b: &mut Builder, cursor: &mut Cursor<'_>) -> Result<(), String> {
    let name = cursor.string()?;
    cursor.expect(" = ")?;
    let value = cursor.value()?;
    let mut target = None;
    if cursor.eat(" -> ") {
        let wanted = cursor.string()?;
        let found = b.graph().inputs.iter().position(|input| input.name == wanted);
        target = Some(found.ok_or_else(|| format!("there is no input {wanted:?}"))?);
    }
    cursor.end()?;
    b.output(name, value, target);
    Ok(())
}

fn node(b: &mut Builder, cursor: &mut Cursor<'_>) -> Result<(), String> {
    let (value, next) = (cursor.value()?, b.graph().nodes.len());
    if value.0 as usize != next {
        return Err(format!("the node is %{}, but nodes are numbered in order and %{next} is next", value.0));
    }
    cursor.expect(": ")?;
    let ty = cursor.ty(&b.graph().symbols)?;
    cursor.expect(" = ")?;
    let op = cursor.word()?;
    if op == super::builder::input_op().name() {
        cursor.expect(" ")?;
        let word = cursor.word()?;
        let role =
            Role::ALL.into_iter().find(|r| r.name() == word).ok_or_else(|| format!("there is no role `{word}`"))?;
        cursor.expect(" ")?;
        let name = cursor.string()?;
        cursor.end()?;
        check_type(&ty, &b.graph().symbols)?;
        b.input(name, role, ty, Span::default());
        return Ok(());
    }
    let mut args = Vec::new();
    while cursor.rest.starts_with(" %") {
        cursor.expect(" ")?;
        args.push(cursor.value()?);
    }
    let declared = find(op).map_or(&[][..], |op| op.attributes());
    let mut attrs = Attrs::none();
    while cursor.eat(" ") {
        let name = cursor.word()?;
        let known = declared.iter().find(|n| **n == name);
        let known = known.ok_or_else(|| format!("`{op}` has no attribute `{name}`"))?;
        cursor.expect("=")?;
        attrs.0.push((known, cursor.attribute(&b.graph().symbols)?));
    }
    cursor.end()?;
    let made = b.try_emit(op, attrs, &args, Span::default())?;
    let is = &b.graph().node(made).ty;
    if *is != ty {
        let symbols = &b.graph().symbols;
        return Err(format!("the type is {}, but `{op}` gives {}", ty.display(symbols), is.display(symbols)));
    }
    Ok(())
}

/// The rest of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(self.found(&format!("`{text}`"))) }
    }

    fn end(&self) -> Result<(), String> {
        if self.rest.trim_end().is_empty() { Ok(()) } else { Err(self.found("the end of the line")) }
    }

    fn found(&self, wanted: &str) -> String {
        let shown: String = self.rest.chars().take(20).collect();
        format!("{wanted} is expected, but here is `{}`", shown.escape_debug())
    }

    fn take(&mut self, wanted: &str, inside: impl Fn(char) -> bool) -> Result<&'a str, String> {
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.found(wanted));
        }
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<&'a str, String> {
        self.take("a word", |c| c.is_alphanumeric() || c == '_' || c == '.')
    }

    fn value(&mut self) -> Result<Value, String> {
        self.expect("%")?;
        let digits = self.take("a number", |c| c.is_ascii_digit())?;
        digits.parse().map(Value).map_err(|_| format!("%{digits} is no value"))
    }

    /// `0: 12 backward, 2 carries, 3 slices`
    fn body(&mut self, graph: &Graph) -> Result<Body, String> {
        let (number, next) = (self.word()?, graph.bodies.len());
        if number != next.to_string() {
            return Err(format!("the body is {number}, but bodies are numbered in order and {next} is next"));
        }
        self.expect(": ")?;
        let extent = self.shape(" ", &graph.symbols)?;
        let [extent] = extent[..] else { return Err("a body has one number of steps".to_string()) };
        let reverse = self.eat("backward");
        if !reverse {
            self.expect("forward")?;
        }
        let mut count = |before: &str, after: &str| {
            self.expect(before)?;
            let digits = self.word()?;
            let count = digits.parse().map_err(|_| format!("`{digits}` is no count"))?;
            self.expect(after)?;
            Ok::<usize, String>(count)
        };
        let (carries, slices) = (count(", ", " carries")?, count(", ", " slices")?);
        self.end()?;
        Ok(Body { extent, reverse, carries, slices, graph: Graph::default() })
    }

    /// A text in quotes, with the escapes of Rust.
    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.chars();
        loop {
            let plain = chars.next().ok_or("the closing `\"` is missing")?;
            match plain {
                '"' => break,
                '\\' => text.push(escaped(&mut chars)?),
                plain => text.push(plain),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    fn ty(&mut self, symbols: &[String]) -> Result<Type, String> {
        let word = self.word()?;
        let dtype = dtype(word).ok_or_else(|| format!("there is no element type `{word}`"))?;
        self.expect("[")?;
        Ok(Type::new(dtype, self.shape("]", symbols)?))
    }

    /// Extents up to the closing bracket.
    fn shape(&mut self, close: &str, symbols: &[String]) -> Result<Shape, String> {
        let mut shape = Vec::new();
        while !self.eat(close) {
            let word = self.word()?;
            let symbol = symbols.iter().position(|s| s == word).map(|i| Extent::Sym(i as u32));
            let fixed = word.parse().ok().map(Extent::Fixed);
            shape.push(
                symbol.or(fixed).ok_or_else(|| format!("`{word}` is neither a number nor a symbol of the graph"))?,
            );
            self.eat(", ");
        }
        Ok(shape)
    }

    fn attribute(&mut self, symbols: &[String]) -> Result<Attr, String> {
        if self.rest.starts_with('"') {
            return self.string().map(Attr::Text);
        }
        if self.eat("(") {
            return self.shape(")", symbols).map(Attr::Shape);
        }
        if self.eat("[") {
            let mut list = Vec::new();
            while !self.eat("]") {
                list.push(self.number()?.parse().map_err(|_| "a list holds integers".to_string())?);
                self.eat(", ");
            }
            return Ok(Attr::Ints(list));
        }
        let word = self.number()?;
        if let Some(dtype) = dtype(word) {
            return Ok(Attr::DType(dtype));
        }
        if let Ok(n) = word.parse() {
            return Ok(Attr::Int(n));
        }
        word.parse().map(Attr::Float).map_err(|_| format!("`{word}` is no value of an attribute"))
    }

    fn number(&mut self) -> Result<&'a str, String> {
        self.take("a number or a word", |c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    }
}

fn dtype(word: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|d| d.name() == word)
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let broken = || "an escape in the text is broken".to_string();
    match chars.next().ok_or_else(broken)? {
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        '0' => Ok('\0'),
        'u' => {
            let digits: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
            u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or_else(broken)
        }
        same => Ok(same),
    }
}
