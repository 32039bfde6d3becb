//! Words of other systems: layers and settings under the names that they have elsewhere.
//!
//! In: a name that means nothing here, and the call in which it stands. Out: what it is called here, and the call as it
//! would be written. Invariant: the library's names come from its own comments (`// Also: …`), none is known here.

use super::builtin;
use super::elaborate::Elaborator;
use super::errors::{self, Boxed};
use super::expr::WORDS;
use super::items::Items;
use super::library::{Also, also, also_setting, helps};
use super::value::{Val, ValKind};
use crate::base::{Diagnostic, Edit, Fix, Span};
use crate::syntax::ast::{Arg, Call, Def, DefKind, Expr, ExprKind};
use std::collections::BTreeMap;

/// `d`, with what the library calls `word`, if it knows the word. `call` is the one that `word` stands before.
pub fn renamed(d: Boxed, word: &str, span: Span, call: Option<&Call>, items: &Items) -> Boxed {
    let Some(also) = also(word) else {
        let last = word.rsplit('.').next().unwrap_or(word);
        if let (Some(name), Some((root, _)), Some(call)) = (builtin::find(last), word.rsplit_once('.'), call) {
            return method(*d, name, root, span, call);
        }
        let Some(how) = helps(&format!("E0101 {last}")).next() else { return d };
        return Box::new(Diagnostic { notes: vec![how.to_string()], fixes: vec![], ..*d });
    };
    let Some(def) = items.defs.get(also.name) else { return d };
    let is_setting = |n: &&&str| def.params.iter().any(|p| p.name.text == **n);
    let kept: Vec<&str> = also.given.iter().filter(is_setting).copied().collect();
    let form = if kept.is_empty() { also.name.to_string() } else { format!("{}({})", also.name, kept.join(", ")) };
    let note = match kept.len() == also.given.len() {
        true => format!("here it is `{form}`"),
        false => format!("here it is `{form}`: the size of what comes in is worked out"),
    };
    let d = Diagnostic { notes: vec![note], fixes: vec![], ..*d };
    let name = also.name;
    let mut d = d.fix(format!("write `{name}`"), span, name);
    if let Some(edits) = call.and_then(|c| rewritten(c, span, also, def, items)) {
        d.fixes.insert(0, Fix { message: format!("write `{name}`"), edits });
    }
    Box::new(d)
}

/// `x.sum()` is `sum(x)`.
fn method(d: Diagnostic, name: &str, root: &str, span: Span, call: &Call) -> Boxed {
    let inside = Span { start: span.end + 1, end: span.end + 1, ..span };
    let more = call.args.as_ref().is_some_and(|a| !a.is_empty());
    let input = if more { format!("{root}, ") } else { root.to_string() };
    let edits = vec![Edit { span, text: name.to_string() }, Edit { span: inside, text: input }];
    let notes = vec![format!("there are no methods: here it is `{name}({root})`")];
    let fix = Fix { message: format!("write `{name}({root})`"), edits };
    Box::new(Diagnostic { notes, fixes: vec![fix], ..d })
}

/// The edits that make a call of another system one of `def`: what is worked out goes, settings get their names here.
fn rewritten(call: &Call, callee: Span, also: &Also, def: &Def, items: &Items) -> Option<Vec<Edit>> {
    let args = call.args.as_deref().filter(|a| !a.is_empty())?;
    let names: Vec<&str> = def.params.iter().map(|p| p.name.text.as_str()).collect();
    let mut edits = vec![Edit { span: callee, text: also.name.to_string() }];
    let (mut place, mut kept) = (0, 0);
    for (i, arg) in args.iter().enumerate() {
        match &arg.name {
            Some(n) if also.given.contains(&n.text.as_str()) && !names.contains(&n.text.as_str()) => {
                edits.push(without(args, i));
            }
            Some(_) => edits.extend(translated(call, i, &names, items)?),
            None => {
                let meant = also.given.get(place).copied();
                place += 1;
                match meant.and_then(|m| names.iter().position(|n| *n == m)) {
                    Some(at) if at == kept => kept += 1,
                    Some(at) => {
                        let start = Span { end: arg.value.span.start, ..arg.value.span };
                        edits.push(Edit { span: start, text: format!("{} = ", names[at]) });
                    }
                    None if meant.is_some() => edits.push(without(args, i)),
                    None => kept += 1,
                }
            }
        }
    }
    Some(edits)
}

/// The edits that make argument `i`, a setting of another system, one of `names`.
fn translated(call: &Call, i: usize, names: &[&str], items: &Items) -> Option<Vec<Edit>> {
    let args = call.args.as_deref()?;
    let name = args[i].name.as_ref()?;
    let mut edits = match also_setting(&name.text, names) {
        Some("_") => return Some(vec![without(args, i)]),
        Some(setting) => vec![Edit { span: name.span, text: setting.to_string() }],
        None if names.contains(&name.text.as_str()) => vec![],
        None => return behind(call, i, items).map(|fix| fix.edits),
    };
    // `padding = "same"`
    if let ExprKind::Str(word) = &args[i].value.kind
        && WORDS.contains(&word.as_str())
    {
        edits.push(Edit { span: args[i].value.span, text: word.clone() });
    }
    Some(edits)
}

/// `dense(16, relu)`: a function in the parentheses of a layer follows it behind an arrow.
fn behind(c: &Call, i: usize, items: &Items) -> Option<Fix> {
    let args = c.args.as_deref()?;
    let name = match &args[i].value.kind {
        ExprKind::Name(n) | ExprKind::Str(n) => n.rsplit('.').next()?,
        ExprKind::Field(_, n) => &n.text,
        _ => return None,
    };
    let def = items.defs.get(name).or_else(|| items.defs.get(also(name)?.name));
    let name = match def {
        Some(def) if def.kind == DefKind::Fn => def.name.text.as_str(),
        Some(_) => return None,
        None => builtin::find(name)?,
    };
    // The `)` stands right behind the last argument, in what the formatter writes and most people do.
    let last = args.last()?.value.span;
    let close = Span { start: last.end + 1, end: last.end + 1, ..last };
    let edits = vec![without(args, i), Edit { span: close, text: format!(" -> {name}") }];
    Some(Fix { message: format!("a function follows behind an arrow: `-> {name}`"), edits })
}

/// Takes one argument out of its parentheses, with the comma that it no longer needs.
fn without(args: &[Arg], i: usize) -> Edit {
    let start = |a: &Arg| a.name.as_ref().map_or(a.value.span.start, |n| n.span.start);
    let own = args[i].value.span;
    let span = match (args.get(i + 1), i.checked_sub(1)) {
        (Some(next), _) => Span { start: start(&args[i]), end: start(next), ..own },
        (None, Some(before)) => Span { start: args[before].value.span.end, ..own },
        (None, None) => Span { start: start(&args[i]), ..own },
    };
    Edit { span, text: String::new() }
}

/// `nn.functional.relu`: the names of a chain of fields, and the first of them.
pub fn dotted(e: &Expr) -> Option<(&str, String)> {
    match &e.kind {
        ExprKind::Name(n) => Some((n, n.clone())),
        ExprKind::Field(base, field) => {
            let (root, path) = dotted(base)?;
            Some((root, format!("{path}.{}", field.text)))
        }
        _ => None,
    }
}

impl Elaborator<'_> {
    /// E0102 of the setting `name` in the call `c` of `def`, with what was probably meant.
    pub fn unknown_setting(&self, c: &Call, def: &Def, name: &str, v: &Val, given: &BTreeMap<String, Val>) -> Boxed {
        let args = c.args.as_deref().unwrap_or(&[]);
        let place = args.iter().position(|a| a.name.as_ref().is_some_and(|n| n.text == name));
        let span = place.and_then(|i| args[i].name.as_ref()).map_or(v.span, |n| n.span);
        let names: Vec<&str> = def.params.iter().map(|p| p.name.text.as_str()).filter(|n| *n != "body").collect();
        let d = errors::unknown_setting(self.blame(span), name, &def.name.text, &names);
        let named = |i: &usize| args[*i].name.is_some();
        let all: Option<Vec<Vec<Edit>>> =
            (0..args.len()).filter(named).map(|i| translated(c, i, &names, self.items)).collect();
        let d = match all {
            Some(edits) if edits.iter().filter(|e| !e.is_empty()).count() > 1 => {
                let fix =
                    Fix { message: "write the settings as they are called here".to_string(), edits: edits.concat() };
                Box::new(Diagnostic { fixes: [vec![fix], d.fixes.clone()].concat(), ..*d })
            }
            _ => d,
        };
        match (also_setting(name, &names), place) {
            (Some("_"), Some(i)) => {
                let edits = vec![without(args, i)];
                let message = "the size of what comes in is worked out: leave it out".to_string();
                return Box::new(Diagnostic { fixes: vec![Fix { message, edits }], ..*d });
            }
            (Some(_), _) => return d,
            _ => {}
        }
        if let Some(fix) = place.and_then(|i| behind(c, i, self.items)) {
            return Box::new(Diagnostic { fixes: vec![fix], ..*d });
        }
        // The one setting that must be given and is not is the one that was meant.
        let named = |n: &str| args.iter().any(|a| a.name.as_ref().is_some_and(|m| m.text == n));
        let lacks = |n: &&&str| !named(n) && def.params.iter().any(|p| p.name.text == ***n && p.default.is_none());
        let lacking: Vec<&&str> = names.iter().filter(lacks).collect();
        match lacking.as_slice() {
            [one] if !given.contains_key(**one) => errors::meant(*d, span, one),
            _ => d,
        }
    }

    /// `d` about the value of a setting in the call `c`, with what other systems write there.
    pub fn misplaced(&self, d: Boxed, c: &Call) -> Boxed {
        let args = c.args.as_deref().unwrap_or(&[]);
        let Some(i) = args.iter().position(|a| d.span() == Some(a.value.span)) else { return d };
        if let Some(fix) = behind(c, i, self.items) {
            return Box::new(Diagnostic { fixes: vec![fix], ..*d });
        }
        let number = |a: &Arg| a.name.is_none() && matches!(a.value.kind, ExprKind::Number { .. });
        if i == 0 || !args[..=i].iter().all(number) {
            return d;
        }
        let note = "the size of what comes in is worked out: it is not written";
        let mut d = (*d).note(note);
        d.fixes.push(Fix { message: "leave it out".to_string(), edits: vec![without(args, 0)] });
        Box::new(d)
    }

    /// The text of a string is the name of a definition: it was meant without quotes.
    pub fn unquoted(&self, d: Boxed, v: &Val) -> Boxed {
        match &v.kind {
            ValKind::Text(t) if self.items.defs.contains_key(t) => {
                let d = (*d).note(format!("a name stands without quotes: `{t}`"));
                Box::new(d.fix("leave out the quotes", v.span, t.as_str()))
            }
            _ => d,
        }
    }
}
