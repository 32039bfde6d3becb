//! The caps on what a file may ask for.
//!
//! In: nothing. Out: constants. Invariant: every reader compares with a cap here before it allocates.

/// Bytes that a compressed file may expand to, unless `--max-decompressed` says otherwise (E0806).
pub const DECOMPRESSED_BYTES: u64 = 4 << 30;

/// Bytes of one CSV field (E0805).
pub const FIELD_BYTES: usize = 1 << 20;

/// Columns of a CSV file (E0805).
pub const COLUMNS: usize = 100_000;

/// Rows of a data set: a row number is an i32 in the compiled step (E0805).
pub const ROWS: usize = i32::MAX as usize;

/// Different labels of one text column (E0805).
pub const LABELS: usize = 100_000;

/// Bytes of a file that is read whole: a text, a list, an array (E0805).
pub const TEXT_BYTES: usize = 1 << 30;

/// Bytes of one token of a text (E0805).
pub const TOKEN_BYTES: usize = 4096;

/// Different tokens of one vocabulary (E0805).
pub const TOKENS: usize = 1 << 20;

/// Bytes of the header of an NPY file, and the axes of its array (E0410).
pub const NPY_HEADER_BYTES: usize = 1 << 16;
pub const ARRAY_AXES: usize = 8;

/// Members of a zip archive (E0410).
pub const ZIP_MEMBERS: u64 = 10_000;

/// Pixels of one picture (E0411).
pub const PIXELS: u64 = 1 << 26;

/// Axes of an IDX file: the format's own rank byte allows 255 (E0407).
pub const IDX_AXES: usize = 8;

/// Bytes of the header of a safetensors file (E0501).
pub const WEIGHTS_HEADER_BYTES: u64 = 25 << 20;

/// Mistakes reported for one data file before reading stops.
pub const DATA_ERRORS: usize = 5;
