//! What was expected: syntax errors in plain words.
//!
//! In: a statement and the place where the grammar stopped. Out: a diagnostic that says what to type. Invariant: the
//! message speaks of what the user wrote (a value, an argument, a line), never of rules of the grammar.

use super::ast::DefKind;
use super::scan::UNITS;
use super::skeleton::Skeleton;
use super::tokens::{Token, innermost, tokens};
use crate::base::names::distance;
use crate::base::{Diagnostic, Edit, FileId, Fix, Span};

/// The code of an error that was reported by the scanner already.
pub(super) const REPORTED: &str = "";
/// The code of "this is not an item".
pub(super) const NO_ITEM: &str = "E0012";

/// What was being read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mistake {
    Use,
    Const,
    Data,
    Train,
    Def(DefKind),
    Param,
    State,
    Assert,
    Expect,
    Phase,
    Scan,
    Statement,
}

const ITEM_WORDS: [&str; 11] =
    ["use", "const", "data", "fn", "init", "block", "op", "loss", "optimizer", "model", "train"];

impl Mistake {
    /// What it is called, and how it is written where that helps.
    fn shape(self) -> (&'static str, &'static str) {
        match self {
            Mistake::Use => ("`use`", "use \"blocks.nn\""),
            Mistake::Const => ("this constant", "const temp = 4"),
            Mistake::Data => ("this data", "data iris = csv(\"iris.csv\") { … }"),
            Mistake::Train => ("this `train`", "train mlp on iris { … }"),
            Mistake::Def(kind) => match kind {
                DefKind::Fn => ("this function", "fn half(scale = 1) t { scale * t / 2 }"),
                DefKind::Init => ("this initialiser", "init small fan_in { uniform(-1 / fan_in, 1 / fan_in) }"),
                DefKind::Block => ("this block", "block stage(out)  [H, W, _] -> [_, _, out] { … }"),
                DefKind::Op => ("this op", "op double  x: [.., D] -> y: [.., D] { … }"),
                DefKind::Loss => ("this loss", "loss mine(gamma = 2)  z: logits[K], y: class(K) { … }"),
                DefKind::Optimizer => ("this optimizer", "optimizer plain(lr)  w, g { w = w - lr * g }"),
                DefKind::Model => ("this model", "model mlp  x: [4] -> logits[3] { … }"),
            },
            Mistake::Param => ("this parameter", "param weight: [D] = 1"),
            Mistake::State => ("this state", "state m = 0"),
            Mistake::Assert => ("this assertion", "assert D % heads == 0, \"why\""),
            Mistake::Expect => ("this promise", "expect test.loss < 0.1"),
            Mistake::Phase => ("this phase", "train { … }"),
            Mistake::Scan => ("this scan", "scan(T) h: [units] = 0 { … }"),
            Mistake::Statement => ("", ""),
        }
    }

    fn is_item(self) -> bool {
        matches!(self, Mistake::Use | Mistake::Const | Mistake::Data | Mistake::Train | Mistake::Def(_))
    }
}

/// A piece of the text: where it stands and what it says.
/// The error at `at`, the place where the grammar stopped reading `skeleton`.
pub(super) fn describe(file: FileId, skeleton: &Skeleton, at: usize, mistake: Mistake) -> Diagnostic {
    let text = skeleton.text();
    let all = tokens(text);
    let next = all.partition_point(|t| t.end() <= at);
    let found = all.get(next).copied();
    let before = next.checked_sub(1).map(|i| all[i]);
    let place = Place { file, skeleton, mistake, all: &all, next, found, before, open: innermost(&all[..next]) };
    if let Some(special) = place.special() {
        return special;
    }
    let diagnostic = match before {
        Some(b) if b.asks_for_value() && !place.is_whole_range(b) => place.value_missing(b),
        Some(Token { text: "(" | "[" | ",", .. }) if found.is_some() => place.bad_start(),
        None => place.bad_start(),
        Some(b) => place.not_ended(b),
    };
    match mistake.shape() {
        (_, "") => diagnostic,
        (what, example) => diagnostic.note(format!("{} is written like `{example}`", what.replace("this ", "a "))),
    }
}

struct Place<'a> {
    file: FileId,
    skeleton: &'a Skeleton<'a>,
    mistake: Mistake,
    all: &'a [Token<'a>],
    next: usize,
    found: Option<Token<'a>>,
    before: Option<Token<'a>>,
    open: Option<Token<'a>>,
}

impl Place<'_> {
    fn span(&self, token: Token<'_>) -> Span {
        self.skeleton.span(self.file, token.start, token.end())
    }

    /// The found token; at the end of the text, the place behind the last one.
    fn here(&self) -> Span {
        match (self.found, self.before) {
            (Some(found), _) => self.span(found),
            (None, Some(before)) => self.span(before).after(),
            (None, None) => self.skeleton.whole(self.file),
        }
    }

    fn found_text(&self) -> String {
        match self.found {
            Some(t) if t.text.starts_with('"') => "a string".to_string(),
            Some(t) => format!("`{}`", t.text),
            None if self.mistake.is_item() => "the end of the item".to_string(),
            None => "the end of the statement".to_string(),
        }
    }

    fn error(&self, message: String, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error("E0010", self.here(), message, label)
    }

    /// `[..` and `, ..` stand for any axes and are complete.
    fn is_whole_range(&self, token: Token<'_>) -> bool {
        token.text == ".." && self.next >= 2 && matches!(self.all[self.next - 2].text, "[" | "," | "(")
    }

    /// Mistakes that have a name.
    fn special(&self) -> Option<Diagnostic> {
        let (before, found) = (self.before?, self.found);
        if let Some(found) = found {
            if before.is_number() && found.is_word() && !matches!(found.text, "and" | "or" | "then" | "not") {
                return Some(self.unknown_unit(found));
            }
            if matches!(found.text, "and" | "or" | "not" | "then" | "else") && self.wants_name(before) {
                let message = format!("`{}` is a word of the language and cannot be a name", found.text);
                return Some(self.error(message, "choose another name"));
            }
        }
        if let Some(diagnostic) = self.of_another_language(before, found) {
            return Some(diagnostic);
        }
        let percent = before.text == "%" && self.next >= 2 && self.all[self.next - 2].is_number();
        if percent && found.is_none_or(|f| matches!(f.text, "," | ")" | "]")) {
            let number = self.all[self.next - 2];
            let span = self.span(number).to(self.span(before));
            let message = "a share is written without a space: `%` with spaces is the remainder of a division";
            let fixed = format!("{}%", number.text);
            let diagnostic = Diagnostic::error("E0010", span, message, format!("write `{fixed}`"));
            return Some(diagnostic.fix(format!("write `{fixed}`"), span, fixed));
        }
        if let Some(found) = found.filter(|f| f.text == "=" && self.mistake == Mistake::Expect && self.open.is_none()) {
            // what is small when it is good has one name that the language knows
            let bound = if before.text == "loss" { "<=" } else { ">=" };
            let message = "a promise is a comparison, `=` gives a value";
            let diagnostic = Diagnostic::error("E0010", self.span(found), message, "expected `>=`, `<=`, `>` or `<`");
            return Some(diagnostic.fix(format!("write `{bound}`"), self.span(found), bound));
        }
        if found.is_none() && self.open.is_none() && before.text == "->" || before.text == "then" && found.is_none() {
            let message = format!("the line ends with `{}`", before.text);
            let label = format!("to go on, begin the next line with `{}`", before.text);
            return Some(Diagnostic::error("E0010", self.span(before), message, label));
        }
        None
    }

    /// `return x`, `let h = …`, `if x > 0 { … }`, `x: 6`
    fn of_another_language(&self, before: Token<'_>, found: Option<Token<'_>>) -> Option<Diagnostic> {
        let found = found?;
        if matches!(self.mistake, Mistake::Def(_)) && matches!(before.text, ":" | "->") && found.is_number() {
            let d = self.error(format!("`{}` is no shape", found.text), "a shape stands in brackets");
            let text = format!("[{}]", found.text);
            return Some(d.fix(format!("write `{text}`"), self.span(found), text));
        }
        let first = self.mistake == Mistake::Statement && (found.is_word() || found.text == "(");
        let (what, why) = match before.text {
            "return" if first => ("return", "the value that ends a body is its result"),
            "let" | "var" | "auto" if first => (before.text, "a name gets its value with `=` alone"),
            "if" if first && found.text != "(" => {
                let d = self.error("the condition of an `if` stands in parentheses".to_string(), "`(` is missing here");
                return Some(d.note("it is written like `if(k > 1) { … } else { … }`"));
            }
            _ => return None,
        };
        let gone = Span { end: self.span(found).start, ..self.span(before) };
        let d = Diagnostic::error("E0010", self.span(before), format!("there is no `{what}`"), why);
        Some(d.fix("leave it out", gone, ""))
    }

    fn wants_name(&self, before: Token<'_>) -> bool {
        before.asks_for_value() || matches!(before.text, "(" | "[" | "," | "." | ":") || self.next == 1
    }

    fn unknown_unit(&self, found: Token<'_>) -> Diagnostic {
        let message = format!("`{}` is not a unit", found.text);
        let label = format!("a number is followed by a unit or an operator, not by `{}`", found.text);
        let mut diagnostic = Diagnostic::error("E0011", self.span(found), message, label)
            .note(format!("the units are {} and %", UNITS.join(", ")));
        let near = UNITS.iter().map(|u| (distance(u, found.text), u)).filter(|(d, u)| *d <= 2.min(u.len() / 2));
        if let Some((_, unit)) = near.min() {
            diagnostic = diagnostic.fix(format!("did you mean `{unit}`?"), self.span(found), *unit);
        }
        diagnostic
    }

    fn value_missing(&self, before: Token<'_>) -> Diagnostic {
        let what = match before.text {
            "->" => "a layer, a block or a name",
            _ => "a value",
        };
        let message = format!("expected {what} after `{}`, found {}", before.text, self.found_text());
        match self.found {
            Some(_) => self.error(message, format!("{what} is missing before this")),
            None => Diagnostic::error("E0010", self.span(before), message, format!("{what} is missing behind this")),
        }
    }

    fn bad_start(&self) -> Diagnostic {
        let message = format!("expected a value, found {}", self.found_text());
        match self.found {
            Some(found) if found.text == "->" && self.before.is_none() => {
                self.error("a statement cannot begin with `->`".to_string(), "what flows here is missing before this")
            }
            Some(found) if found.text == "=" => {
                self.error("expected a name before `=`".to_string(), "the name is missing before this")
            }
            Some(_) => self.error(message, "a value is missing before this"),
            None => self.error(message, "something is missing here"),
        }
    }

    /// A value is complete and what follows does not go on with it.
    fn not_ended(&self, before: Token<'_>) -> Diagnostic {
        let found = self.found_text();
        match self.open.map(|o| o.text) {
            Some("(") if self.is_group() => self.several(),
            Some("(") => {
                let what = if self.in_params() { "this setting" } else { "this argument" };
                let message = format!("expected `,` or `)` after {what}, found {found}");
                self.between(before, message, "a `,` or `)` is missing before this")
            }
            Some("[") => {
                let message = format!("expected `,` or `]`, found {found}");
                self.between(before, message, "a `,` or `]` is missing before this")
            }
            _ if self.mistake.is_item() => self.item_not_ended(before),
            _ => self.statement_not_ended(before),
        }
    }

    /// Whether a comma stands in parentheses that hold a value, and neither settings nor inputs.
    fn is_group(&self) -> bool {
        let open = self.open.and_then(|o| self.all.iter().position(|t| t.start == o.start));
        let before = open.and_then(|i| i.checked_sub(1)).map(|i| self.all[i]);
        let called = before.is_some_and(|t| t.is_word() || matches!(t.text, ")" | "]"));
        self.found.is_some_and(|t| t.text == ",") && !called
    }

    /// `(0.9, 0.99)`
    fn several(&self) -> Diagnostic {
        let d = self.error("parentheses hold one value".to_string(), "a second one");
        let d = d.note("several values stand in brackets: `[0.9, 0.99]`");
        let mut depth = 0;
        let closes = |t: &&Token<'_>| {
            depth += match t.text {
                "(" => 1,
                ")" => -1,
                _ => 0,
            };
            depth < 0
        };
        let (Some(open), Some(close)) = (self.open, self.all[self.next..].iter().find(closes)) else { return d };
        let edit = |token, text: &str| Edit { span: self.span(token), text: text.to_string() };
        let edits = vec![edit(open, "["), edit(*close, "]")];
        Diagnostic { fixes: vec![Fix { message: "write `[ … ]`".to_string(), edits }], ..d }
    }

    fn in_params(&self) -> bool {
        matches!(self.mistake, Mistake::Def(_))
            && self.open.is_some_and(|o| self.all.get(2).is_some_and(|t| t.start == o.start))
    }

    /// The error, with a comma offered where two values stand side by side.
    fn between(&self, before: Token<'_>, message: String, label: &str) -> Diagnostic {
        let diagnostic = self.error(message, label);
        match self.found {
            Some(t) if t.is_word() || t.is_number() || t.text.starts_with('"') => {
                diagnostic.fix("separate them by a comma", self.span(before).after(), ",")
            }
            Some(Token { text: ":", .. }) => {
                diagnostic.note("a value is given with `=`").fix("write `=`", self.here(), " =")
            }
            _ => diagnostic,
        }
    }

    fn item_not_ended(&self, before: Token<'_>) -> Diagnostic {
        let (what, _) = self.mistake.shape();
        let found = self.found_text();
        let body = self.all.iter().any(|t| t.text == "{");
        let no_name = self.next <= 1;
        if no_name {
            let name = if self.mistake == Mistake::Use { "a path in quotes" } else { "a name" };
            return self.error(
                format!("expected {name} after `{}`, found {found}", before.text),
                format!("{name} is missing here"),
            );
        }
        match self.mistake {
            Mistake::Const | Mistake::Use => self.error(
                format!("{what} ends after `{}`, but {found} follows", before.text),
                "expected an operator or the end of the line",
            ),
            Mistake::Data if self.next == 2 => {
                let diagnostic = self.error(format!("expected `=` and a reader, found {found}"), "`=` is missing here");
                diagnostic.note("readers are library names: `csv(\"file.csv\")`, `idx(\"folder\")`, `given`")
            }
            Mistake::Train if !self.all.iter().any(|t| t.text == "on") => self
                .error(format!("expected `on` and the name of the data, found {found}"), "`on DATA` is missing here"),
            _ if self.found.is_none() && !body => {
                let message = format!("{what} has no body: expected `{{`");
                Diagnostic::error("E0010", self.span(before), message, "`{ … }` is missing behind this")
            }
            _ if before.text == "}" => {
                self.error(format!("{what} ends with its `}}`, but {found} follows"), "begin a new line here")
            }
            _ => self
                .error(format!("expected `->`, `,` or `{{` after `{}`, found {found}", before.text), "unexpected here"),
        }
    }

    fn statement_not_ended(&self, before: Token<'_>) -> Diagnostic {
        let found = self.found_text();
        let message =
            format!("expected `->`, an operator or the end of the line after `{}`, found {found}", shown(before));
        match self.found {
            Some(Token { text: "=", .. }) if self.all[..self.next].iter().any(|t| t.text == "=") => {
                self.error("a second `=` in one statement".to_string(), "one name gets one value")
            }
            Some(t) if t.is_word() || t.text == "[" => {
                let diagnostic = self.error(message, "an `->` or an operator is missing before this");
                diagnostic.fix(
                    "if it flows on to the next, write `->`",
                    Span { end: self.span(t).start, ..self.span(t) },
                    "-> ",
                )
            }
            Some(t) if t.text == ":" => {
                self.error(message, "a value is given with `=`").fix("write `=`", self.span(t), " =")
            }
            Some(_) => self.error(message, "unexpected here"),
            None => self
                .error(format!("expected more after `{}`, found {found}", shown(before)), "something is missing here"),
        }
    }
}

fn shown<'t>(token: Token<'t>) -> &'t str {
    if token.text.starts_with('"') { "\"…\"" } else { token.text }
}

/// E0008: reserved for a later version.
pub(super) fn later(file: FileId, skeleton: &Skeleton, word: &str) -> Box<Diagnostic> {
    let span = skeleton.span(file, 0, word.len());
    let message = format!("`{word}` is not part of this version");
    Box::new(Diagnostic::error("E0008", span, message, "the word is reserved for a later version"))
}

/// Something else than an item at the top of the file.
pub(super) fn no_item(file: FileId, skeleton: &Skeleton, word: &str) -> Box<Diagnostic> {
    let all = tokens(skeleton.text());
    let length = all.first().map_or(1, |t| t.text.len());
    let span = skeleton.span(file, 0, length);
    let near = ITEM_WORDS.iter().map(|w| (distance(w, word), w)).filter(|(d, w)| *d <= 2.min(w.len() / 2));
    let message = format!("expected an item, found `{}`", all.first().map_or("", |t| shown(*t)));
    let label = "a file consists of items such as `data`, `model`, `train`";
    let diagnostic = Diagnostic::error(NO_ITEM, span, message, label)
        .note(format!("the words that begin an item are {}", ITEM_WORDS.join(", ")));
    Box::new(match near.min() {
        Some((_, near)) if !word.is_empty() => diagnostic.fix(format!("did you mean `{near}`?"), span, *near),
        _ => diagnostic,
    })
}
