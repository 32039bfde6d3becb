//! What a checked file says about data and training, beside its graphs.
//!
//! In: checked `data` and `train` items. Out: plain descriptions that the runtime carries out. Invariant: every name is
//! resolved, every number is in range; what depends on the data itself (columns, classes) is checked when it is opened.

use crate::base::{Extent, Span};

/// One `data` item.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    pub name: String,
    pub span: Span,
    pub reader: Call,
    pub fields: Vec<FieldSpec>,
    pub split: SplitSpec,
    /// The dimensions that the data itself tells, such as `V` in `token(V)`: the first is `Extent::Sym(FIRST_SYMBOL)`.
    pub symbols: Vec<String>,
}

/// The number of a data item's first own symbol; the batch and the rows stand before it.
pub const FIRST_SYMBOL: u32 = 2;

impl DataSpec {
    /// Puts numbers in the place of symbols. A symbol that is not among `numbers` stays.
    pub fn bind(&mut self, numbers: &[(u32, u64)]) {
        let replace = |e: &mut Extent| {
            if let Extent::Sym(s) = *e
                && let Some((_, n)) = numbers.iter().find(|(sym, _)| *sym == s)
            {
                *e = Extent::Fixed(*n);
            }
        };
        for field in &mut self.fields {
            field.shape.iter_mut().for_each(replace);
            if let Kind::Class(Some(count)) | Kind::Token(Some(count)) = &mut field.kind {
                replace(count);
            }
        }
    }

    /// The names of the dimensions that still wait for the data.
    pub fn unbound(&self) -> Vec<&str> {
        let extents = self.fields.iter().flat_map(|f| f.shape.iter().copied().chain(f.kind.count()));
        let open: Vec<Extent> = extents.filter(|e| e.fixed().is_none()).collect();
        let named = self.symbols.iter().enumerate();
        named.filter(|(i, _)| open.contains(&Extent::Sym(FIRST_SYMBOL + *i as u32))).map(|(_, n)| n.as_str()).collect()
    }
}

/// A reader, a source or a transform with its arguments: `csv("iris.csv", header = false)`, `scale(0..1)`. The names are those of
/// the runtime's table of readers and transforms (`runtime::data`), which `check` validates against.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub args: Vec<(Option<String>, Literal)>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Number(f64),
    /// A share: 80% is 0.8.
    Share(f64),
    Text(String),
    /// A bare word: `given`, or a field's name.
    Word(String),
    Range(f64, f64),
    List(Vec<Literal>),
}

/// What the elements of a field mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Numbers: f32.
    Real,
    /// Class indices `0..K`: i32. `None` where the number of classes is counted from the data.
    Class(Option<Extent>),
    /// Places in a vocabulary of so many tokens: i32. Fields of one `token(V)` share one vocabulary.
    Token(Option<Extent>),
}

impl Kind {
    /// The declared number of classes or tokens.
    pub fn count(&self) -> Option<Extent> {
        match self {
            Kind::Real => None,
            Kind::Class(count) | Kind::Token(count) => *count,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    pub name: String,
    pub span: Span,
    pub kind: Kind,
    /// `image[H, W, C]`: a file of tensors has the channels before the other axes.
    pub image: bool,
    /// Per example. A symbol is one of `DataSpec::symbols` and is bound by what the data has.
    pub shape: Vec<Extent>,
    /// `columns(1..4)`, `column("species")`, `images`, `labels`, or none for `given`.
    pub source: Option<Call>,
    /// In order: `standardize`, `scale(0..1)`, `one_hot`, …; fitted on the training part only.
    pub transforms: Vec<Call>,
}

impl FieldSpec {
    /// True where the rows have lengths of their own: the data then binds a tensor `DATA.FIELD.length`, i32 per row, the
    /// number of steps along the first axis that are no padding.
    pub fn ragged(&self) -> bool {
        self.transforms.iter().any(|t| t.name == "pad")
    }
}

/// The parts of a data set, by name.
pub const PARTS: [&str; 3] = ["train", "valid", "test"];

/// Shares of the rows; `Given` takes the part that the files themselves mark (IDX: train-* and t10k-*).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SplitSpec {
    pub train: Part,
    pub valid: Part,
    pub test: Part,
    /// The class field whose proportions each part keeps.
    pub stratify: Option<String>,
    pub span: Span,
}

impl SplitSpec {
    /// The share of a part of [`PARTS`].
    pub fn part(&self, name: &str) -> Part {
        match name {
            "train" => self.train,
            "valid" => self.valid,
            "test" => self.test,
            _ => Part::None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Part {
    #[default]
    None,
    /// 0 < share <= 1
    Share(f64),
    Given,
}

/// What a `train` item says beside its loss, optimizer, schedules and clip, which are in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    /// `mlp`, or the name after `as`.
    pub name: String,
    pub model: String,
    pub data: String,
    pub span: Span,
    pub batch: u64,
    pub seed: u64,
    /// The run ends as soon as one holds; never empty.
    pub stop: Vec<Stop>,
    /// Names of outputs of the evaluation graph, in the order of `metrics =`; `loss` is always there too.
    pub metrics: Vec<String>,
    pub expects: Vec<Expect>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    Epochs(f64),
    Steps(u64),
    Seconds(f64),
    /// No improvement of `metric` on `part` for so many epochs.
    Plateau {
        span: Span,
        part: String,
        metric: String,
        /// True for a loss, of which less is better.
        falls: bool,
        epochs: u64,
    },
}

/// `expect test.accuracy >= 0.93`
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    pub part: String,
    pub metric: String,
    pub op: Comparison,
    pub value: f64,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Lt,
    Le,
    Gt,
    Ge,
}
