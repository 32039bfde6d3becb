//! Texts as tokens, and tokens as places in a vocabulary.
//!
//! In: texts, how a field splits them, and the training rows. Out: a number per token, and the vocabulary. Invariant: the
//! fields of one `token(V)` share one vocabulary, whose order follows from the texts and never from a hash or a thread.

use super::file::Access;
use super::raw::{Cells, Coded, Coder, Errors, Raw, RawField};
use super::text;
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Extent, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{Call, DataSpec, FieldSpec, Kind, Literal};
use crate::runtime::limits;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The tokens that stand for no piece of text, in the order in which they take their places.
const SPECIAL: [&str; 4] = ["<pad>", "<unk>", "<start>", "<end>"];
const PAD: usize = 0;
const UNKNOWN: usize = 1;
const START: usize = 2;
const END: usize = 3;

/// All tokens in the order of their numbers, and the numbers of the special ones that it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    pub tokens: Vec<String>,
    special: [Option<i32>; 4],
}

impl Vocabulary {
    /// What fills a row up to its end: 0 where the vocabulary has no token for it.
    pub fn pad(&self) -> i32 {
        self.special[PAD].unwrap_or(0)
    }

    pub fn start(&self) -> i32 {
        self.special[START].expect("asked for by the field that uses it")
    }

    pub fn end(&self) -> i32 {
        self.special[END].expect("asked for by the field that uses it")
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Unit {
    Chars,
    Words,
    /// The whole text is one token: a column of labels.
    Whole,
}

/// How a field splits its texts, and which of the tokens its vocabulary takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Splitter {
    unit: Unit,
    lower: bool,
    /// A token that occurs less often in the training part is unknown.
    least: u64,
    /// The most tokens, the special ones included.
    most: usize,
    fixed: Option<Vec<String>>,
}

impl Splitter {
    const WHOLE: Splitter = Splitter { unit: Unit::Whole, lower: false, least: 1, most: usize::MAX, fixed: None };

    /// What `chars(…)` or `words(…)` says.
    pub fn of(access: &Access, reader: &str, place: Place, call: &Call) -> Result<Splitter, Box<Diagnostic>> {
        let args = bind(vocabulary(), place, reader, call)?;
        let unit = if args.signature.name == "chars" { Unit::Chars } else { Unit::Words };
        let lower = args.text("lower").map_or(unit == Unit::Words, |word| word == "true");
        let fixed = match args.one("vocabulary") {
            Some(Literal::Text(path)) => {
                let listed = text::content(access, path, None, call.span)?;
                Some(listed.lines().filter(|line| !line.is_empty()).map(str::to_string).collect())
            }
            Some(Literal::List(items)) => {
                let texts = items.iter().filter_map(|i| if let Literal::Text(t) = i { Some(t.clone()) } else { None });
                Some(texts.collect())
            }
            _ => None,
        };
        fixed.as_deref().map_or(Ok(()), |tokens| each_once(tokens, call.span))?;
        let least = args.whole("min_count").map_or(1, |n| n as u64);
        let most = args.whole("max").unwrap_or(usize::MAX);
        Ok(Splitter { unit, lower, least, most, fixed })
    }

    /// Hands the tokens of `text` to `take`. A word is a run of letters and digits, with apostrophes inside; any other
    /// character that is no white space is a token of its own.
    pub fn split(&self, text: &str, take: &mut dyn FnMut(&str)) {
        let lowered;
        let text = if self.lower {
            lowered = text.to_lowercase();
            &lowered
        } else {
            text
        };
        match self.unit {
            Unit::Whole => take(text),
            Unit::Chars => text.split_inclusive(|_: char| true).for_each(take),
            Unit::Words => words(text, take),
        }
    }

    /// True where a token may be missing from the vocabulary: then it has one for the unknown.
    fn leaves_out(&self) -> bool {
        self.unit != Unit::Chars || self.least > 1 || self.most < usize::MAX
    }
}

/// E0412 where a token of a given vocabulary would have two numbers.
fn each_once(tokens: &[String], span: Span) -> Result<(), Box<Diagnostic>> {
    let mut known = HashSet::new();
    let Some(twice) = tokens.iter().find(|token| !known.insert(token.as_str())) else { return Ok(()) };
    let text = format!("`{}` stands twice in the vocabulary", twice.escape_debug());
    let error = Diagnostic::error("E0412", span, text, "given here");
    Err(Box::new(error.note("each token has one number: leave the second one out")))
}

fn words(text: &str, take: &mut dyn FnMut(&str)) {
    let mut begun = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().is_some_and(|(_, n)| n.is_alphanumeric());
        if c.is_alphanumeric() || (begun.is_some() && next && matches!(c, '\'' | '’')) {
            begun.get_or_insert(at);
            continue;
        }
        if let Some(start) = begun.take() {
            take(&text[start..at]);
        }
        if !c.is_whitespace() {
            take(&text[at..at + c.len_utf8()]);
        }
    }
    if let Some(start) = begun {
        take(&text[start..]);
    }
}

/// True where two fields read and split the same.
pub fn same_source(a: &FieldSpec, b: &FieldSpec) -> bool {
    let call = |c: &Call| (c.name.clone(), c.args.clone());
    let splits = |f: &FieldSpec| f.transforms.first().filter(|t| is_splitter(t)).map(call);
    a.source.as_ref().map(call) == b.source.as_ref().map(call) && splits(a) == splits(b)
}

fn is_splitter(call: &Call) -> bool {
    matches!(call.name.as_str(), "chars" | "words")
}

/// E0805 for a token without end.
pub fn check_lengths(coded: &Coded, path: &str, span: Span) -> Result<(), Box<Diagnostic>> {
    let Some(i) = coded.labels.iter().position(|label| label.len() > limits::TOKEN_BYTES) else { return Ok(()) };
    let text = format!("{path}:{}: a token is longer than {} bytes", coded.lines[i], limits::TOKEN_BYTES);
    let error = Diagnostic::error("E0805", span, text, "read here");
    Err(Box::new(error.note("is this a text? `chars` splits anything")))
}

/// A token field: how it splits, and the special tokens that it asks for.
struct Member {
    index: usize,
    splitter: Splitter,
    special: [bool; 4],
}

/// Turns the texts of every token field into numbers; the vocabulary of each field that has one.
pub fn number(
    access: &Access,
    spec: &DataSpec,
    raw: &mut Raw,
    train: &[i32],
) -> Result<Vec<Option<Rc<Vocabulary>>>, Errors> {
    let mut groups: Vec<(Option<Extent>, Vec<Member>)> = Vec::new();
    for (index, field) in spec.fields.iter().enumerate() {
        let Kind::Token(count) = field.kind else { continue };
        let member = member(access, spec, field, index).map_err(|e| vec![*e])?;
        if is_splitter_first(field) {
            split_rows(&member.splitter, &mut raw.fields[index], &raw.shown, field.span).map_err(|e| vec![*e])?;
        }
        match groups.iter_mut().find(|(c, _)| count.is_some() && *c == count) {
            Some((_, members)) => members.push(member),
            None => groups.push((count, vec![member])),
        }
    }
    let mut vocabularies = vec![None; spec.fields.len()];
    for (count, members) in groups {
        let made = fit(spec, count, &members, raw, train).map_err(|e| vec![*e])?;
        let made = Rc::new(made);
        for member in &members {
            let field = &spec.fields[member.index];
            translate(&made, &mut raw.fields[member.index], &raw.shown, field.span).map_err(|e| vec![*e])?;
            vocabularies[member.index] = Some(made.clone());
        }
    }
    Ok(vocabularies)
}

/// True where the field's texts are split into tokens.
pub fn is_splitter_first(field: &FieldSpec) -> bool {
    field.transforms.first().is_some_and(is_splitter)
}

fn member(access: &Access, spec: &DataSpec, field: &FieldSpec, index: usize) -> Result<Member, Box<Diagnostic>> {
    let reader = spec.reader.name.as_str();
    let splitter = match (&field.source, field.transforms.first()) {
        (_, Some(call)) if is_splitter(call) => Splitter::of(access, reader, Place::Transform, call)?,
        (Some(call), _) if is_splitter(call) => Splitter::of(access, reader, Place::Source, call)?,
        _ => Splitter::WHOLE,
    };
    let mut special = [false; 4];
    special[UNKNOWN] = splitter.leaves_out() && splitter.fixed.is_none();
    for call in field.transforms.iter().filter(|t| t.name == "pad") {
        let args = bind(vocabulary(), Place::Transform, reader, call)?;
        special[PAD] = true;
        special[START] |= args.text("start") == Some("true");
        special[END] |= args.text("end") == Some("true");
    }
    Ok(Member { index, splitter, special })
}

/// Rows of text to rows of tokens.
fn split_rows(splitter: &Splitter, field: &mut RawField, shown: &str, span: Span) -> Result<(), Box<Diagnostic>> {
    let texts = match &field.cells {
        Cells::Texts(columns) if columns.len() == 1 => &columns[0],
        _ => {
            let text = "tokens are made from one column of text";
            return Err(Box::new(Diagnostic::error("E0415", span, text, "use `column(…)` or `line`")));
        }
    };
    let (mut coder, mut ends) = (Coder::default(), Vec::with_capacity(texts.codes.len()));
    for &code in &texts.codes {
        let (label, line) = (&texts.labels[code as usize], texts.lines[code as usize]);
        splitter.split(label, &mut |token| coder.push(token, line));
        ends.push(coder.coded.codes.len());
    }
    check_lengths(&coder.coded, shown, span)?;
    (field.cells, field.ends, field.dims) = (Cells::Texts(vec![coder.coded]), Some(ends), vec![]);
    Ok(())
}

fn fit(
    spec: &DataSpec,
    count: Option<Extent>,
    members: &[Member],
    raw: &Raw,
    train: &[i32],
) -> Result<Vocabulary, Box<Diagnostic>> {
    let first = &members[0];
    let (field, splitter) = (&spec.fields[first.index], &first.splitter);
    if let Some(other) = members.iter().find(|m| m.splitter != *splitter) {
        let other = &spec.fields[other.index];
        let text =
            format!("`{}` and `{}` share one vocabulary, but split their texts differently", field.name, other.name);
        let error = Diagnostic::error("E0105", other.span, text, "of the same `token(…)`");
        return Err(Box::new(error.note("give both the same settings, or another name than V to one of them")));
    }
    let asked = |i: usize| members.iter().any(|m| m.special[i]);
    let mut tokens: Vec<String> = (0..4).filter(|&i| asked(i)).map(|i| SPECIAL[i].to_string()).collect();
    match &splitter.fixed {
        Some(fixed) => {
            tokens.retain(|t| !fixed.contains(t));
            tokens.extend(fixed.iter().cloned());
        }
        None => {
            let mut found = counts(spec, members, raw, train);
            found.retain(|(token, n)| *n >= splitter.least && !tokens.contains(token));
            found.sort_by(|a, b| match splitter.unit {
                Unit::Words => b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)),
                _ => a.0.cmp(&b.0),
            });
            found.truncate(splitter.most.saturating_sub(tokens.len()));
            tokens.extend(found.into_iter().map(|(token, _)| token));
        }
    }
    check_size(field, count, &tokens)?;
    let place = |name: &str| tokens.iter().position(|t| t == name).map(|i| i as i32);
    let special = SPECIAL.map(place);
    Ok(Vocabulary { tokens, special })
}

fn check_size(field: &FieldSpec, count: Option<Extent>, tokens: &[String]) -> Result<(), Box<Diagnostic>> {
    let found = tokens.len();
    if found > limits::TOKENS {
        let text = format!("`{}` has a vocabulary of {found} tokens, the cap is {}", field.name, limits::TOKENS);
        let error = Diagnostic::error("E0805", field.span, text, "declared here");
        return Err(Box::new(error.note("`max = 10000` keeps the most frequent ones")));
    }
    match count.and_then(Extent::fixed) {
        Some(room) if found as u64 > room => {
            let text = format!("`{}` has a vocabulary of {found} tokens", field.name);
            let error = Diagnostic::error("E0406", field.span, text, format!("token({room}) has room for {room}"));
            Err(Box::new(
                error.note(format!("write `token({found})`, or a name such as `token(V)` to have them counted")),
            ))
        }
        _ if found == 0 => {
            let text = format!("the vocabulary of `{}` is empty", field.name);
            Err(Box::new(Diagnostic::error("E0403", field.span, text, "no token is frequent enough")))
        }
        _ => Ok(()),
    }
}

/// Every token with its count: in the training part, or, where none is left out, in all rows. A text that two fields
/// read alike counts once.
fn counts(spec: &DataSpec, members: &[Member], raw: &Raw, train: &[i32]) -> Vec<(String, u64)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(String, u64)> = Vec::new();
    for (i, member) in members.iter().enumerate() {
        let own = &spec.fields[member.index];
        if members[..i].iter().any(|m| same_source(&spec.fields[m.index], own)) {
            continue;
        }
        let field = &raw.fields[member.index];
        let Cells::Texts(columns) = &field.cells else { panic!("token fields hold texts until they are numbered") };
        let mut numbers = vec![0u64; columns[0].labels.len()];
        let mut add = |row: usize| field.steps_of(row).for_each(|s| numbers[columns[0].codes[s] as usize] += 1);
        match member.splitter.leaves_out() {
            true => train.iter().for_each(|&row| add(row as usize)),
            false => (0..field.rows()).for_each(add),
        }
        for (label, n) in columns[0].labels.iter().zip(numbers).filter(|(_, n)| *n > 0) {
            let place = *places.entry(label).or_insert(found.len());
            match found.get_mut(place) {
                Some((_, sum)) => *sum += n,
                None => found.push((label.clone(), n)),
            }
        }
    }
    found
}

/// Codes to places in the vocabulary. E0412 for a token that is not in it, where it has none for the unknown.
fn translate(known: &Vocabulary, field: &mut RawField, shown: &str, span: Span) -> Result<(), Box<Diagnostic>> {
    let Cells::Texts(columns) = &field.cells else { panic!("token fields hold texts until they are numbered") };
    let coded = &columns[0];
    let places: HashMap<&str, i32> = known.tokens.iter().enumerate().map(|(i, t)| (t.as_str(), i as i32)).collect();
    let mut numbers = Vec::with_capacity(coded.labels.len());
    for (label, line) in coded.labels.iter().zip(&coded.lines) {
        match places.get(label.as_str()).copied().or(known.special[UNKNOWN]) {
            Some(number) => numbers.push(number),
            None => {
                let text = format!("{shown}:{line}: `{}` is not in the vocabulary", label.escape_debug());
                let error = Diagnostic::error("E0412", span, text, "of this field");
                return Err(Box::new(error.note("add it, or `<unk>`, which then stands for all that are not in it")));
            }
        }
    }
    field.cells = Cells::Ids(coded.codes.iter().map(|&code| numbers[code as usize]).collect());
    Ok(())
}
