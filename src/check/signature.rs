//! Signatures of the words a `data` item may use, and the binding of a call's arguments to them.
//!
//! In: a [`Call`] and the table of signatures that the runtime hands in. Out: one literal per parameter, or a diagnostic.
//! Invariant: a bound call has a literal of the right kind for every parameter that has no default.

use super::spec::{Call, Literal};
use crate::base::names::nearest;
use crate::base::{Diagnostic, Span};

/// Where a word may stand in a `data` item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `data iris = csv(…)`
    Reader,
    /// `x: [4] = columns(…)`
    Source,
    /// `… -> standardize`
    Transform,
}

impl Place {
    fn noun(self) -> &'static str {
        match self {
            Place::Reader => "reader",
            Place::Source => "source",
            Place::Transform => "transform",
        }
    }
}

/// What an argument may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    Text,
    /// A bare word out of a closed list: `true`, `mean`.
    Word(&'static [&'static str]),
    /// `0..1`
    Range,
    /// A whole number, at least so much.
    Whole(u32),
    /// A text, or a list of texts.
    Texts,
    /// A column: its name, or its number counted from 1.
    Column,
    /// A column or a range of column numbers.
    Columns,
}

impl ArgKind {
    fn accepts(self, literal: &Literal) -> bool {
        match (self, literal) {
            (ArgKind::Text, Literal::Text(_)) => true,
            (ArgKind::Word(words), Literal::Word(word)) => words.contains(&word.as_str()),
            (ArgKind::Range | ArgKind::Columns, Literal::Range(..)) => true,
            (ArgKind::Whole(least), Literal::Number(n)) => n.fract() == 0.0 && (f64::from(least)..2e9).contains(n),
            (ArgKind::Texts, Literal::Text(_)) => true,
            (ArgKind::Texts, Literal::List(items)) => items.iter().all(|i| matches!(i, Literal::Text(_))),
            (ArgKind::Column | ArgKind::Columns, Literal::Text(_) | Literal::Number(_)) => true,
            _ => false,
        }
    }

    fn describe(self) -> String {
        match self {
            ArgKind::Text => "a text in quotes".to_string(),
            ArgKind::Word(words) => format!("one of `{}`", words.join("`, `")),
            ArgKind::Range => "a range such as `0..1`".to_string(),
            ArgKind::Whole(least) => format!("a whole number from {least}"),
            ArgKind::Texts => "a file's name in quotes, or a list of texts".to_string(),
            ArgKind::Column => "a column's name in quotes or its number".to_string(),
            ArgKind::Columns => "column names in quotes, column numbers, or a range such as `1..4`".to_string(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: ArgKind,
    /// False where it has a default, which `Signature::doc` names.
    pub required: bool,
}

/// One word: its place, its parameters in order of position, and what it does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Signature {
    pub name: &'static str,
    pub place: Place,
    /// The readers with which a source works; empty means all.
    pub readers: &'static [&'static str],
    pub params: &'static [Param],
    /// The first parameter takes every positional argument.
    pub variadic: bool,
    /// What other systems call it.
    pub also: &'static [&'static str],
    pub doc: &'static str,
}

/// The arguments of a call in the order of its signature's parameters.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    pub signature: &'static Signature,
    pub values: Vec<Vec<&'a Literal>>,
}

impl<'a> Bound<'a> {
    /// The values of the parameter `name`: none where it was left out.
    pub fn all(&self, name: &str) -> &[&'a Literal] {
        let index = self.signature.params.iter().position(|p| p.name == name);
        &self.values[index.expect("a parameter of this signature")]
    }

    pub fn one(&self, name: &str) -> Option<&'a Literal> {
        self.all(name).first().copied()
    }

    pub fn whole(&self, name: &str) -> Option<usize> {
        match self.one(name) {
            Some(Literal::Number(number)) => Some(*number as usize),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.one(name) {
            Some(Literal::Text(text) | Literal::Word(text)) => Some(text),
            _ => None,
        }
    }
}

/// Finds the word of `call` at `place` for data of `reader` and binds its arguments.
///
/// Errors: E0101 unknown word, E0102 unknown parameter, E0103 given twice, E0104 missing, E0105 wrong kind.
pub fn bind<'a>(
    table: &'static [Signature],
    place: Place,
    reader: &str,
    call: &'a Call,
) -> Result<Bound<'a>, Box<Diagnostic>> {
    let signature = find(table, place, reader, call)?;
    let mut values: Vec<Vec<&Literal>> = vec![Vec::new(); signature.params.len()];
    let mut position = 0;
    for (name, literal) in &call.args {
        let index = match name {
            Some(name) => named(signature, name, call)?,
            None => position,
        };
        if name.is_none() && !signature.variadic {
            position += 1;
        }
        let Some(param) = signature.params.get(index) else {
            let text = format!("`{}` takes {}", call.name, signature.usage());
            return Err(Box::new(Diagnostic::error("E0102", call.span, text, "too many arguments")));
        };
        if !(values[index].is_empty() || signature.variadic && index == 0) {
            let text = format!("`{}` is given twice", param.name);
            return Err(Box::new(Diagnostic::error("E0103", call.span, text, "each parameter once")));
        }
        if !param.kind.accepts(literal) {
            let text = format!("`{}` of `{}` must be {}", param.name, call.name, param.kind.describe());
            let label = format!("this is {}", describe(literal));
            return Err(Box::new(Diagnostic::error("E0105", call.span, text, label)));
        }
        values[index].push(literal);
    }
    if let Some(i) = (0..values.len()).find(|&i| values[i].is_empty() && signature.params[i].required) {
        let (param, kind) = (signature.params[i].name, signature.params[i].kind.describe());
        let text = format!("`{}` needs `{param}`: {kind}", call.name);
        return Err(Box::new(Diagnostic::error("E0104", call.span, text, format!("write {}", signature.usage()))));
    }
    Ok(Bound { signature, values })
}

fn find(
    table: &'static [Signature],
    place: Place,
    reader: &str,
    call: &Call,
) -> Result<&'static Signature, Box<Diagnostic>> {
    let fits = |s: &&Signature| s.place == place && (s.readers.is_empty() || s.readers.contains(&reader));
    if let Some(found) = table.iter().filter(fits).find(|s| s.name == call.name) {
        return Ok(found);
    }
    let known: Vec<&str> = table.iter().filter(fits).map(|s| s.name).collect();
    let of = if place == Place::Source { format!(" of `{reader}` data") } else { String::new() };
    let text = format!("there is no {}{of} named `{}`", place.noun(), call.name);
    let label = format!("one of: {}", known.join(", "));
    let mut error = Diagnostic::error("E0101", call.span, text, label);
    let word = Span { end: call.span.start + call.name.len() as u32, ..call.span };
    if let Some(here) = table.iter().filter(fits).find(|s| s.also.contains(&call.name.as_str())) {
        error =
            error.note(format!("here it is `{0}`", here.name)).fix(format!("write `{}`", here.name), word, here.name);
    } else if let Some(near) = nearest(&call.name, known) {
        error = error.fix(format!("did you mean `{near}`?"), word, near);
    }
    Err(Box::new(error))
}

fn named(signature: &Signature, name: &str, call: &Call) -> Result<usize, Box<Diagnostic>> {
    if let Some(index) = signature.params.iter().position(|p| p.name == name) {
        return Ok(index);
    }
    let text = format!("`{}` has no parameter `{name}`", call.name);
    let mut error = Diagnostic::error("E0102", call.span, text, format!("write {}", signature.usage()));
    if let Some(near) = nearest(name, signature.params.iter().map(|p| p.name)) {
        error = error.note(format!("did you mean `{near}`?"));
    }
    Err(Box::new(error))
}

impl Signature {
    /// `csv(path, header = …)`: required parameters bare, the others with `= …`.
    pub fn usage(&self) -> String {
        if self.params.is_empty() {
            return format!("`{}`, without arguments", self.name);
        }
        let show = |p: &Param| if p.required { p.name.to_string() } else { format!("{} = …", p.name) };
        let params: Vec<String> = self.params.iter().map(show).collect();
        format!("`{}({})`", self.name, params.join(", "))
    }
}

fn describe(literal: &Literal) -> String {
    match literal {
        Literal::Number(n) => format!("the number {n}"),
        Literal::Share(s) => format!("the share {}%", s * 100.0),
        Literal::Text(t) => format!("the text \"{t}\""),
        Literal::Word(w) => format!("the word `{w}`"),
        Literal::Range(a, b) => format!("the range {a}..{b}"),
        Literal::List(_) => "a list".to_string(),
    }
}
