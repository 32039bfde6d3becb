//! The standard library: the files of `lib/`, part of the binary.
//!
//! In: nothing. Out: their names and texts. Invariant: they are ordinary source files; a new definition goes into one of
//! them and nowhere else.

/// Name and text of every file of `lib/`.
pub const FILES: [(&str, &str); 7] = [
    ("lib/activations.nn", include_str!("../../lib/activations.nn")),
    ("lib/initialisers.nn", include_str!("../../lib/initialisers.nn")),
    ("lib/layers.nn", include_str!("../../lib/layers.nn")),
    ("lib/losses.nn", include_str!("../../lib/losses.nn")),
    ("lib/metrics.nn", include_str!("../../lib/metrics.nn")),
    ("lib/optimizers.nn", include_str!("../../lib/optimizers.nn")),
    ("lib/schedules.nn", include_str!("../../lib/schedules.nn")),
];
