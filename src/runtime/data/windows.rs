//! Sequences as rows of one length: windows of a long one, or many short ones padded.
//!
//! In: steps, and what `window(…)` or `pad(…)` says. Out: rows of equal length, with their lengths where these differ.
//! Invariant: the windows of one part lie in it wholly, so that no step is seen by two parts.

use super::raw::{Cells, Errors, Missing, Raw, RawField};
use super::split::Parts;
use super::tokens::Vocabulary;
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Bound, Place, bind};
use crate::check::spec::{Call, DataSpec};

/// What `window(…)` of one field says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub size: usize,
    pub offset: usize,
}

/// The windows of a data item: where each begins.
#[derive(Debug, PartialEq)]
pub struct Windows {
    /// Per field.
    pub fields: Vec<Window>,
    pub starts: Vec<usize>,
}

/// What the `window` transforms of all fields say together: per field its window, and the step from one to the next.
///
/// Errors: E0415 where only some fields have one, or they step differently.
pub fn asked(spec: &DataSpec) -> Result<Option<(Vec<Window>, usize)>, Box<Diagnostic>> {
    let (mut fields, mut stride, mut without) = (Vec::new(), None::<(usize, Span)>, None);
    for field in &spec.fields {
        let Some(call) = field.transforms.iter().find(|t| t.name == "window") else {
            without.get_or_insert(field);
            continue;
        };
        let args = bind(vocabulary(), Place::Transform, &spec.reader.name, call)?;
        let size = args.whole("size").expect("`size` is required");
        fields.push(Window { size, offset: args.whole("offset").unwrap_or(0) });
        match (args.whole("stride"), stride) {
            (Some(new), Some((old, _))) if new != old => {
                let text = format!("the windows of `{}` step by {new}, those before it by {old}", field.name);
                let error = Diagnostic::error("E0415", call.span, text, "a row is one window of every field");
                return Err(Box::new(error.note("give `stride` once, or the same one everywhere")));
            }
            (Some(new), _) => stride = Some((new, call.span)),
            _ => {}
        }
    }
    let Some(largest) = fields.iter().map(|w| w.size).max() else {
        return if spec.reader.name == "text" { Err(needs_window(spec)) } else { Ok(None) };
    };
    if let Some(field) = without {
        let text = format!("`{}` has no window, but other fields of `{}` have one", field.name, spec.name);
        let error = Diagnostic::error("E0415", field.span, text, "a row is one window of every field");
        return Err(Box::new(error.note("`window(1, offset = n)` takes one step")));
    }
    Ok(Some((fields, stride.map_or(largest, |s| s.0))))
}

fn needs_window(spec: &DataSpec) -> Box<Diagnostic> {
    let text = format!("`{}` is one long text, and a model takes rows of one length", spec.fields[0].name);
    Box::new(Diagnostic::error("E0104", spec.fields[0].span, text, "add `-> window(128)`"))
}

/// Places the windows in the parts of the steps; the windows, and their rows in each part.
///
/// E0403 where a part has room for none.
pub fn place(
    spec: &DataSpec,
    raw: &Raw,
    fields: Vec<Window>,
    stride: usize,
    steps: &Parts,
) -> Result<(Windows, Parts), Errors> {
    let reach = fields.iter().map(|w| w.size + w.offset).max().unwrap_or(1);
    let mut rows = Parts::default();
    let mut starts: Vec<usize> = Vec::new();
    let of = [(&steps.train, &mut rows.train), (&steps.valid, &mut rows.valid), (&steps.test, &mut rows.test)];
    for (steps, rows) in of {
        let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { continue };
        let before = starts.len();
        let all = (first as usize..=last as usize).step_by(stride).take_while(|s| s + reach <= last as usize + 1);
        starts.extend(all.filter(|&start| whole(raw, &fields, start)));
        rows.extend(before as i32..starts.len() as i32);
    }
    let parts =
        [("train", &steps.train, &rows.train), ("valid", &steps.valid, &rows.valid), ("test", &steps.test, &rows.test)];
    for (part, steps, rows) in parts {
        if rows.is_empty() && (part == "train" || !steps.is_empty()) {
            let count = steps.len();
            let text =
                format!("the `{part}` part of `{}` has {count} steps, and a window reaches over {reach}", spec.name);
            let error = Diagnostic::error("E0403", spec.split.span, text, "no window fits");
            let note = "a smaller window, a larger share, or more data";
            return Err(vec![error.note(note).note("`missing = drop` leaves out windows that miss a value")]);
        }
    }
    Ok((Windows { fields, starts }, rows))
}

/// True where no field that drops missing values misses one in the window that begins at `start`.
fn whole(raw: &Raw, fields: &[Window], start: usize) -> bool {
    raw.fields.iter().zip(fields).filter(|(f, _)| f.missing == Missing::Drop).all(|(field, window)| {
        let width = field.width().max(1);
        let from = (start + window.offset) * width;
        let mut places = from..from + window.size * width;
        match &field.cells {
            Cells::Numbers(values) => places.all(|i| !values[i].is_nan()),
            Cells::Wide(values) => places.all(|i| !values[i].is_nan()),
            Cells::Texts(_) | Cells::Ids(_) => true,
        }
    })
}

impl Windows {
    /// The rows of field number `index`: `[rows, size, width]`.
    pub fn cut(&self, index: usize, raw: &mut RawField, span: Span) -> Result<(), Box<Diagnostic>> {
        let window = self.fields[index];
        let width = raw.width().max(1);
        let span_of = |start: usize| (start + window.offset) * width..(start + window.offset + window.size) * width;
        let count = self.starts.len().saturating_mul(window.size).saturating_mul(width);
        match &mut raw.cells {
            Cells::Numbers(values) => *values = gather(values, &self.starts, span_of, count, span)?,
            Cells::Wide(values) => *values = gather(values, &self.starts, span_of, count, span)?,
            Cells::Ids(ids) => *ids = gather(ids, &self.starts, span_of, count, span)?,
            Cells::Texts(_) => {
                let text = "a window is cut from numbers, classes or tokens, and these are texts";
                return Err(Box::new(Diagnostic::error("E0105", span, text, "make the field a `token(V)`")));
            }
        }
        raw.dims.insert(0, window.size as u64);
        Ok(())
    }
}

fn gather<T: Copy>(
    values: &[T],
    starts: &[usize],
    of: impl Fn(usize) -> std::ops::Range<usize>,
    count: usize,
    span: Span,
) -> Result<Vec<T>, Box<Diagnostic>> {
    let mut out = Vec::new();
    if out.try_reserve_exact(count).is_err() {
        let bytes = count.saturating_mul(size_of::<T>());
        let text = format!("{} windows need {bytes} bytes of memory, more than there is", starts.len());
        return Err(Box::new(Diagnostic::error("E0803", span, text, "a larger `stride` makes fewer")));
    }
    starts.iter().for_each(|&start| out.extend_from_slice(&values[of(start)]));
    Ok(out)
}

/// Pads or cuts every row to the length that `call` asks for, else to that of the longest training row; each row's length.
/// A row without a step counts as one of padding, so that a mean over it is defined.
pub fn pad(
    raw: &mut RawField,
    args: &Bound<'_>,
    call: &Call,
    known: Option<&Vocabulary>,
    train: &[i32],
) -> Result<Vec<i32>, Box<Diagnostic>> {
    let Some(ends) = raw.ends.take() else {
        let text = "`pad` is for rows of different lengths, and these have one";
        let error = Diagnostic::error("E0415", call.span, text, "leave it out");
        return Err(Box::new(error.note("`words`, `chars` and `.ts` files make rows of different lengths")));
    };
    let flag = |name| args.text(name) == Some("true");
    let around = [flag("start"), flag("end")];
    if known.is_none() && (around[0] || around[1]) {
        let text = "`start` and `end` are tokens, and these are numbers";
        return Err(Box::new(Diagnostic::error("E0105", call.span, text, "leave them out")));
    }
    let extra = around.iter().filter(|&&a| a).count();
    let lengths = |row: usize| ends[row] - row.checked_sub(1).map_or(0, |r| ends[r]) + extra;
    let longest = train.iter().map(|&row| lengths(row as usize)).max().unwrap_or(1).max(1);
    let size = args.whole("size").unwrap_or(longest);
    let width = raw.width().max(1);
    let layout = Layout { ends: &ends, size, width, last: args.text("keep") == Some("last") };
    let lengths = match &mut raw.cells {
        Cells::Numbers(values) => {
            let (rows, lengths) = layout.lay(values, 0.0, [None, None], call.span)?;
            *values = rows;
            lengths
        }
        Cells::Wide(values) => {
            let (rows, lengths) = layout.lay(values, 0.0, [None, None], call.span)?;
            *values = rows;
            lengths
        }
        Cells::Ids(ids) => {
            let known = known.expect("only tokens are numbered before they are padded");
            let around = [around[0].then(|| known.start()), around[1].then(|| known.end())];
            let (rows, lengths) = layout.lay(ids, known.pad(), around, call.span)?;
            *ids = rows;
            lengths
        }
        Cells::Texts(_) => {
            let text = "`pad` is for tokens or numbers, and these are texts";
            return Err(Box::new(Diagnostic::error("E0105", call.span, text, "make the field a `token(V)`")));
        }
    };
    raw.dims.insert(0, size as u64);
    Ok(lengths)
}

struct Layout<'a> {
    ends: &'a [usize],
    size: usize,
    width: usize,
    /// A row that is too long keeps its last steps, not its first.
    last: bool,
}

impl Layout<'_> {
    fn lay<T: Copy>(
        &self,
        steps: &[T],
        filler: T,
        around: [Option<T>; 2],
        span: Span,
    ) -> Result<(Vec<T>, Vec<i32>), Box<Diagnostic>> {
        let count = self.ends.len().saturating_mul(self.size).saturating_mul(self.width);
        let mut out: Vec<T> = Vec::new();
        if out.try_reserve_exact(count).is_err() {
            let text = format!(
                "{} rows of {} steps need {} bytes of memory",
                self.ends.len(),
                self.size,
                count.saturating_mul(4)
            );
            return Err(Box::new(Diagnostic::error("E0803", span, text, "more than there is: pad to fewer")));
        }
        let room = self.size - around.iter().flatten().count().min(self.size);
        let (mut lengths, mut begin) = (Vec::with_capacity(self.ends.len()), 0);
        for &end in self.ends {
            let kept = (end - begin).min(room);
            let from = if self.last { end - kept } else { begin };
            let row = out.len();
            out.extend(around[0]);
            out.extend_from_slice(&steps[from * self.width..(from + kept) * self.width]);
            out.extend(around[1]);
            out.truncate(row + self.size * self.width);
            lengths.push(((out.len() - row) / self.width).max(1) as i32);
            out.resize(row + self.size * self.width, filler);
            begin = end;
        }
        Ok((out, lengths))
    }
}
