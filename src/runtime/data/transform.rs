//! Transforms of a field's numbers, fitted on the training rows only.
//!
//! In: a field's cells, its transforms and the training rows. Out: the values that the model sees, and what was fitted.
//! Invariant: valid and test rows never influence a statistic. Sums run in f64 in the order of the rows; only + - * / and
//! the square root are used, so that the bits are the same on every machine.

use super::labels;
use super::raw::{Cells, Coded, Missing, RawField};
use super::split::Parts;
use super::tokens::Vocabulary;
use super::vocabulary::vocabulary;
use super::windows::{self, Windows};
use crate::base::Diagnostic;
use crate::check::signature::{Bound, Place, bind};
use crate::check::spec::{Call, DataSpec, FieldSpec, Kind, Literal};

/// What a transform learnt: it belongs to the weights, because new data must be treated alike.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// Per column: the value that stands for a missing one.
    Mean(Vec<f32>),
    /// Per column: (x - mean) / deviation.
    Standardize {
        mean: Vec<f32>,
        deviation: Vec<f32>,
    },
    /// Per column: `from` onto `to`.
    Scale {
        from: Vec<(f32, f32)>,
        to: (f32, f32),
    },
    /// Per column: the labels in order.
    Category(Vec<Vec<String>>),
    OneHot(Vec<Vec<String>>),
}

/// A field on its way through its transforms.
pub struct Work<'a> {
    pub data: &'a DataSpec,
    /// The file, for messages.
    pub shown: &'a str,
    pub index: usize,
    pub raw: RawField,
    /// The training rows, or steps until windows are cut.
    pub train: &'a [i32],
    /// The vocabulary of a token field.
    pub known: Option<&'a Vocabulary>,
    pub cut: Option<&'a (Windows, Parts)>,
    /// Per row, where rows were padded.
    pub lengths: Option<Vec<i32>>,
    pub fitted: Vec<Fitted>,
    pub warnings: Vec<Diagnostic>,
}

impl<'a> Work<'a> {
    fn field(&self) -> &'a FieldSpec {
        &self.data.fields[self.index]
    }

    /// Fills missing values, then runs the transforms in order. The cells are numbers afterwards.
    pub fn run(&mut self) -> Result<(), Box<Diagnostic>> {
        self.fill_missing()?;
        for call in &self.field().transforms {
            let args = bind(vocabulary(), Place::Transform, &self.data.reader.name, call)?;
            self.check_kind(call)?;
            match args.signature.name {
                "chars" | "words" => {} // The texts became numbers together with all that share their vocabulary.
                "window" => self.window(call)?,
                "pad" => self.lengths = Some(windows::pad(&mut self.raw, &args, call, self.known, self.train)?),
                "standardize" => {
                    self.category();
                    self.standardize();
                }
                "scale" => {
                    self.category();
                    self.scale(&args, call.span)?;
                }
                "category" => self.category(),
                "one_hot" => self.one_hot(),
                name => panic!("the transform `{name}` of the vocabulary is carried out nowhere"),
            }
        }
        if let Cells::Texts(_) = self.raw.cells {
            self.category();
        }
        Ok(())
    }

    /// E0105 where a transform of numbers meets tokens, or one of texts meets numbers.
    fn check_kind(&self, call: &Call) -> Result<(), Box<Diagnostic>> {
        let (name, token) = (&self.field().name, matches!(self.field().kind, Kind::Token(_)));
        let (text, label) = match call.name.as_str() {
            "window" | "pad" => return Ok(()),
            "chars" | "words" if !token => {
                (format!("`{}` makes tokens, but `{name}` holds numbers", call.name), "write `token(V)[T]` as its type")
            }
            "standardize" | "scale" | "category" | "one_hot" if token => {
                (format!("`{}` is for numbers, but `{name}` holds tokens", call.name), "leave it out")
            }
            _ => return Ok(()),
        };
        Err(Box::new(Diagnostic::error("E0105", call.span, text, label)))
    }

    fn window(&mut self, call: &Call) -> Result<(), Box<Diagnostic>> {
        let (windows, parts) = self.cut.expect("the windows were placed before any field was cut");
        if let Cells::Texts(_) = self.raw.cells {
            self.category();
        }
        if self.raw.ends.is_some() {
            let text = "a window is cut from one long sequence, and these are many short ones";
            return Err(Box::new(Diagnostic::error("E0415", call.span, text, "use `pad`")));
        }
        windows.cut(self.index, &mut self.raw, call.span)?;
        self.train = &parts.train;
        Ok(())
    }

    /// The numbers of a step, column by column.
    fn numbers(&self, step: usize) -> impl Iterator<Item = f64> {
        let width = self.raw.width();
        let cells = &self.raw.cells;
        (step * width..(step + 1) * width).map(move |at| match cells {
            Cells::Numbers(values) => f64::from(values[at]),
            Cells::Wide(values) => values[at],
            Cells::Texts(_) | Cells::Ids(_) => unreachable!("`category` leaves numbers, and tokens were refused"),
        })
    }

    /// Replaces every number by what `change` makes of its column and it. They are rounded afterwards, not before.
    fn change(&mut self, change: impl Fn(usize, f64) -> f64) {
        let width = self.raw.width().max(1);
        match &mut self.raw.cells {
            Cells::Numbers(values) => {
                values.iter_mut().enumerate().for_each(|(i, v)| *v = change(i % width, f64::from(*v)) as f32);
            }
            Cells::Wide(values) => {
                let changed = values.iter().enumerate().map(|(i, &v)| change(i % width, v) as f32);
                self.raw.cells = Cells::Numbers(changed.collect());
            }
            Cells::Texts(_) | Cells::Ids(_) => unreachable!("`category` leaves numbers, and tokens were refused"),
        }
    }

    /// The steps of the training rows.
    fn train_steps(&self) -> Vec<usize> {
        self.train.iter().flat_map(|&row| self.raw.steps_of(row as usize)).collect()
    }

    /// Per column, the mean of the present training values; none where all are missing.
    fn means(&self) -> Vec<Option<f64>> {
        let (width, train) = (self.raw.width(), self.train_steps());
        let (mut sums, mut counts) = (vec![0f64; width], vec![0u64; width]);
        for step in train {
            for (i, value) in self.numbers(step).enumerate().filter(|(_, v)| !v.is_nan()) {
                sums[i] += value;
                counts[i] += 1;
            }
        }
        sums.iter().zip(&counts).map(|(sum, &n)| (n > 0).then(|| sum / n as f64)).collect()
    }

    fn fill_missing(&mut self) -> Result<(), Box<Diagnostic>> {
        if self.raw.missing != Missing::Mean || !matches!(self.raw.cells, Cells::Numbers(_) | Cells::Wide(_)) {
            return Ok(());
        }
        let (means, width) = (self.means(), self.raw.width().max(1));
        if let Some(column) = means.iter().position(Option::is_none) {
            let name = self.raw.column_name(column);
            let text = format!("{}: \"{name}\" has no value in the training part, so it has no mean", self.shown);
            let error = Diagnostic::error("E0404", self.field().span, text, "leave this column out");
            return Err(Box::new(error.note("`missing = mean` takes the mean of the training rows that have a value")));
        }
        let means: Vec<f64> = means.into_iter().flatten().collect();
        match &mut self.raw.cells {
            Cells::Wide(values) => {
                let absent = values.iter_mut().enumerate().filter(|(_, v)| v.is_nan());
                absent.for_each(|(i, v)| *v = means[i % width]);
            }
            _ => self.change(|i, v| if v.is_nan() { means[i] } else { v }),
        }
        self.fitted.push(Fitted::Mean(means.iter().map(|&m| m as f32).collect()));
        Ok(())
    }

    /// The population's standard deviation (divisor n), as usual for this transform.
    fn standardize(&mut self) {
        let (width, train) = (self.raw.width(), self.train_steps());
        let mut mean: Vec<f64> = self.means().into_iter().map(|m| m.unwrap_or(0.0)).collect();
        let mut constants = Vec::new();
        let (mut squares, mut counts) = (vec![0f64; width], vec![0u64; width]);
        for step in train {
            for (i, value) in self.numbers(step).enumerate().filter(|(_, v)| !v.is_nan()) {
                let off = value - mean[i];
                squares[i] += off * off;
                counts[i] += 1;
            }
        }
        let deviations = squares.iter().zip(&counts).map(|(s, &n)| (s / n.max(1) as f64).sqrt());
        let mut deviation: Vec<f64> = deviations.collect();
        // What all training rows share is a constant, however its mean was rounded.
        for (i, (low, high)) in self.extremes().into_iter().enumerate().filter(|(_, (low, high))| low >= high) {
            deviation[i] = 1.0;
            constants.push(i);
            if low == high {
                mean[i] = low;
            }
        }
        self.change(|i, value| (value - mean[i]) / deviation[i]);
        self.warn_constant(&constants, "its standard deviation is taken as 1");
        let small = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
        self.fitted.push(Fitted::Standardize { mean: small(mean), deviation: small(deviation) });
    }

    fn scale(&mut self, args: &Bound<'_>, span: crate::base::Span) -> Result<(), Box<Diagnostic>> {
        let range = |name| match args.one(name) {
            Some(Literal::Range(a, b)) => Some((*a, *b)),
            _ => None,
        };
        let to = range("to").expect("`to` is required");
        let width = self.raw.width();
        let known = range("from").or(self.raw.range.map(|(a, b)| (f64::from(a), f64::from(b))));
        if known.is_some_and(|(a, b)| a == b) {
            let text = "`from` is an empty range";
            return Err(Box::new(Diagnostic::error("E0303", span, text, "for example `from = 0..16`")));
        }
        let from = match known {
            Some(range) => vec![range; width],
            None => self.extremes(),
        };
        let constants: Vec<usize> = (0..width).filter(|&i| from[i].0 == from[i].1).collect();
        self.change(|i, value| {
            let (low, high) = from[i];
            let size = if high == low { 1.0 } else { high - low };
            to.0 + (value - low) / size * (to.1 - to.0)
        });
        self.warn_constant(&constants, &format!("it becomes {}", to.0));
        self.raw.range = Some((to.0 as f32, to.1 as f32)).filter(|_| known.is_some());
        let from = from.into_iter().map(|(a, b)| (a as f32, b as f32)).collect();
        self.fitted.push(Fitted::Scale { from, to: (to.0 as f32, to.1 as f32) });
        Ok(())
    }

    /// Per column, the least and greatest training value.
    fn extremes(&self) -> Vec<(f64, f64)> {
        let (width, train) = (self.raw.width(), self.train_steps());
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); width];
        for step in train {
            for (range, value) in ranges.iter_mut().zip(self.numbers(step)) {
                *range = (range.0.min(value), range.1.max(value));
            }
        }
        ranges
    }

    /// Texts become the places of their labels; numbers stay.
    fn category(&mut self) {
        let Cells::Texts(columns) = &self.raw.cells else { return };
        let width = columns.len();
        let rows = columns.first().map_or(0, |c| c.codes.len());
        let (positions, names): (Vec<_>, Vec<_>) = columns.iter().map(positions).unzip();
        let mut values = vec![0f32; rows * width];
        for (i, column) in columns.iter().enumerate() {
            for (row, &code) in column.codes.iter().enumerate() {
                values[row * width + i] = positions[i][code as usize] as f32;
            }
        }
        self.raw.cells = Cells::Numbers(values);
        self.fitted.push(Fitted::Category(names));
    }

    fn one_hot(&mut self) {
        if let Cells::Numbers(values) = &self.raw.cells {
            self.raw.cells = Cells::Texts(relabel(values, self.raw.width(), self.fitted.last()));
            self.fitted.pop_if(|last| matches!(last, Fitted::Category(_)));
        }
        let Cells::Texts(columns) = &self.raw.cells else { return };
        let rows = columns.first().map_or(0, |c| c.codes.len());
        let (positions, names): (Vec<_>, Vec<Vec<String>>) = columns.iter().map(positions).unzip();
        let width: usize = names.iter().map(Vec::len).sum();
        let mut values = vec![0f32; rows * width];
        let mut start = 0;
        for (i, column) in columns.iter().enumerate() {
            for (row, &code) in column.codes.iter().enumerate() {
                values[row * width + start + positions[i][code as usize] as usize] = 1.0;
            }
            start += names[i].len();
        }
        let named = |i: usize| {
            let column = self.raw.column_name(i);
            names[i].iter().map(move |label| format!("{column} = {label}")).collect::<Vec<_>>()
        };
        let all_names: Vec<String> = (0..columns.len()).flat_map(named).collect();
        (self.raw.names, self.raw.dims) = (all_names, vec![width as u64]);
        self.raw.cells = Cells::Numbers(values);
        self.fitted.push(Fitted::OneHot(names));
    }

    fn warn_constant(&mut self, columns: &[usize], what: &str) {
        if columns.is_empty() {
            return;
        }
        let shown: Vec<String> = columns.iter().take(6).map(|&i| format!("\"{}\"", self.raw.column_name(i))).collect();
        let more = if columns.len() > 6 { format!(" and {} more", columns.len() - 6) } else { String::new() };
        let text = format!("constant in the training part: {}{more}", shown.join(", "));
        let warning = Diagnostic::warning("W0402", self.field().span, text, what);
        self.warnings.push(warning.note("a constant column says nothing: it can be left out"));
    }
}

/// Per code the place of its label among the sorted ones, and the sorted labels.
fn positions(column: &Coded) -> (Vec<u32>, Vec<String>) {
    let order = labels::sorted(column);
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &code)| places[code as usize] = place as u32);
    (places, order.iter().map(|&code| column.labels[code as usize].clone()).collect())
}

/// Numbers back to labels for `one_hot` behind `category` or over numbers: by value, with the category's own names.
fn relabel(values: &[f32], width: usize, last: Option<&Fitted>) -> Vec<Coded> {
    let known = match last {
        Some(Fitted::Category(names)) => Some(names),
        _ => None,
    };
    let column = |i: usize| {
        let mut coded = Coded::default();
        let mut codes = std::collections::BTreeMap::new();
        if let Some(names) = known {
            coded.labels.clone_from(&names[i]);
            codes.extend((0..names[i].len() as u32).map(|place| ((place as f32).to_bits(), place)));
        }
        for (row, cells) in values.chunks_exact(width.max(1)).enumerate() {
            let code = *codes.entry((cells[i] + 0.0).to_bits()).or_insert_with(|| {
                coded.labels.push(cells[i].to_string());
                coded.lines.push(row as u64 + 1);
                coded.labels.len() as u32 - 1
            });
            coded.codes.push(code);
        }
        coded
    };
    (0..width).map(column).collect()
}
