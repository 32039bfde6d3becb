//! The words of a `data` item: readers, sources, transforms.
//!
//! In: nothing. Out: their signatures, which `check` validates against and `open` binds. Invariant: each word here has
//! exactly one place in this folder that carries it out.

use crate::check::signature::{ArgKind, Param, Place, Signature};

const MISSING: ArgKind = ArgKind::Word(&["error", "mean", "drop"]);
const BOOL: ArgKind = ArgKind::Word(&["true", "false"]);

const fn required(name: &'static str, kind: ArgKind) -> Param {
    Param { name, kind, required: true }
}

const fn optional(name: &'static str, kind: ArgKind) -> Param {
    Param { name, kind, required: false }
}

const fn word(name: &'static str, place: Place, params: &'static [Param], doc: &'static str) -> Signature {
    Signature { name, place, readers: &[], params, variadic: false, also: &[], doc }
}

/// What `chars` and `words` take, as sources of a text and as transforms of a column of texts.
const SPLITTER: [Param; 4] = [
    optional("lower", BOOL),
    optional("min_count", ArgKind::Whole(1)),
    optional("max", ArgKind::Whole(1)),
    optional("vocabulary", ArgKind::Texts),
];

static TABLE: [Signature; 29] = [
    word(
        "csv",
        Place::Reader,
        &[
            required("path", ArgKind::Text),
            optional("header", BOOL),
            optional("delimiter", ArgKind::Text),
            optional("missing", MISSING),
        ],
        "A text file of rows and columns, plain or .gz. The first line names the columns unless header = false; \
         delimiter = \",\"; missing = error.",
    ),
    word(
        "idx",
        Place::Reader,
        &[required("folder", ArgKind::Text)],
        "A folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for t10k, plain or .gz.",
    ),
    word(
        "text",
        Place::Reader,
        &[required("path", ArgKind::Text), optional("lossy", BOOL)],
        "One long text in UTF-8, plain or .gz. lossy = true reads what is not UTF-8 as U+FFFD.",
    ),
    word(
        "lines",
        Place::Reader,
        &[required("path", ArgKind::Text), optional("lossy", BOOL)],
        "A text in UTF-8, plain or .gz, with a row for each line that is not blank.",
    ),
    word("npy", Place::Reader, &[], "Arrays of NumPy, a file for each field; the first axis is that of the rows."),
    word("npz", Place::Reader, &[required("path", ArgKind::Text)], "A zip of arrays of NumPy."),
    word(
        "ts",
        Place::Reader,
        &[required("path", ArgKind::Text), optional("test", ArgKind::Text)],
        "Series in the format of the time-series archives, plain or .gz. test = the file of the test part, then `given`.",
    ),
    word(
        "folder",
        Place::Reader,
        &[required("path", ArgKind::Text), optional("skip", ArgKind::Whole(0))],
        "A folder with a folder of PNG and JPEG files for each class, or a list of `file,label` lines. A part that is \
         `given` lies in folders `train` and `test`. skip = 0 files may be unreadable.",
    ),
    word("given", Place::Reader, &[], "Bound from outside: the tensors `NAME.FIELD` of the file that `--start` names."),
    Signature {
        readers: &["csv"],
        variadic: true,
        ..word(
            "columns",
            Place::Source,
            &[required("which", ArgKind::Columns), optional("missing", MISSING)],
            "Several columns: a range of numbers from 1 with both ends, or names. missing = that of the reader.",
        )
    },
    Signature {
        readers: &["csv"],
        ..word(
            "column",
            Place::Source,
            &[required("which", ArgKind::Column), optional("missing", MISSING)],
            "One column, by name or by number from 1. missing = that of the reader.",
        )
    },
    Signature { readers: &["idx"], ..word("images", Place::Source, &[], "The pictures, as numbers 0 to 255.") },
    Signature { readers: &["idx"], ..word("labels", Place::Source, &[], "The class of each picture.") },
    Signature {
        readers: &["text"],
        ..word("chars", Place::Source, &SPLITTER, "The characters; V counts those of the whole text. lower = false.")
    },
    Signature {
        readers: &["text"],
        ..word("words", Place::Source, &SPLITTER, "The words; V counts those of the training part. lower = true.")
    },
    Signature {
        readers: &["npy", "npz"],
        ..word(
            "array",
            Place::Source,
            &[required("name", ArgKind::Text), optional("missing", MISSING)],
            "The array of this name, or in the file of this name. missing = error.",
        )
    },
    Signature { readers: &["ts"], ..word("series", Place::Source, &[], "The steps of each case: [steps, channels].") },
    Signature { readers: &["ts"], ..word("labels", Place::Source, &[], "The class of each case.") },
    Signature {
        readers: &["folder"],
        ..word(
            "images",
            Place::Source,
            &[optional("fit", ArgKind::Word(&["resize", "crop"]))],
            "The pictures, as numbers 0 to 255, in the size of the field: [height, width, channels]. fit stretches them, or \
             scales them to cover the size and keeps the middle.",
        )
    },
    Signature { readers: &["folder"], ..word("labels", Place::Source, &[], "The class of each picture.") },
    Signature {
        readers: &["lines"],
        ..word("line", Place::Source, &[], "Each line, without white space at its ends.")
    },
    word(
        "chars",
        Place::Transform,
        &SPLITTER,
        "A text as its characters. A vocabulary is a list, or a file with a token on each line; else it is counted, \
         without tokens that the training part has fewer than min_count times, up to max.",
    ),
    word(
        "words",
        Place::Transform,
        &SPLITTER,
        "A text as its words: runs of letters and digits; any other character stands alone. Else as `chars`.",
    ),
    word(
        "window",
        Place::Transform,
        &[
            required("size", ArgKind::Whole(1)),
            optional("stride", ArgKind::Whole(1)),
            optional("offset", ArgKind::Whole(0)),
        ],
        "Rows of `size` steps of a long sequence, `offset` steps on. stride = the largest size of the item.",
    ),
    word(
        "pad",
        Place::Transform,
        &[
            optional("size", ArgKind::Whole(1)),
            optional("start", BOOL),
            optional("end", BOOL),
            optional("keep", ArgKind::Word(&["first", "last"])),
        ],
        "Rows of different lengths, filled or cut to `size` steps; their lengths go with them. size = that of the longest \
         training row; start and end put a token before and behind; keep = first.",
    ),
    Signature {
        also: &["normalize", "normalise", "zscore", "z_score", "StandardScaler"],
        ..word(
            "standardize",
            Place::Transform,
            &[],
            "Subtracts each column's mean and divides by its standard deviation, both of the training part.",
        )
    },
    Signature {
        also: &["minmax", "min_max", "rescale", "MinMaxScaler"],
        ..word(
            "scale",
            Place::Transform,
            &[required("to", ArgKind::Range), optional("from", ArgKind::Range)],
            "Maps a range onto `to`. The range is `from`; else 0..255 for pictures and each column's least and greatest \
             value in the training part.",
        )
    },
    word(
        "category",
        Place::Transform,
        &[],
        "Text as numbers: the position of each label among the sorted labels of its column, from 0.",
    ),
    word(
        "one_hot",
        Place::Transform,
        &[],
        "Each column becomes as many columns as it has labels: 1 at the label's position, 0 elsewhere.",
    ),
];

/// All words, readers first.
pub fn vocabulary() -> &'static [Signature] {
    &TABLE
}
