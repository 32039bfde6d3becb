//! The standard library: the files of `lib/`, part of the binary.
//!
//! In: nothing. Out: their names and texts. Invariant: they are ordinary source files; a new definition goes into one of
//! them and nowhere else.

/// Name and text of every file of `lib/`.
pub const FILES: [(&str, &str); 11] = [
    ("lib/activations.nn", include_str!("../../lib/activations.nn")),
    ("lib/attention.nn", include_str!("../../lib/attention.nn")),
    ("lib/augmentation.nn", include_str!("../../lib/augmentation.nn")),
    ("lib/initialisers.nn", include_str!("../../lib/initialisers.nn")),
    ("lib/layers.nn", include_str!("../../lib/layers.nn")),
    ("lib/losses.nn", include_str!("../../lib/losses.nn")),
    ("lib/metrics.nn", include_str!("../../lib/metrics.nn")),
    ("lib/optimizers.nn", include_str!("../../lib/optimizers.nn")),
    ("lib/pictures.nn", include_str!("../../lib/pictures.nn")),
    ("lib/recurrent.nn", include_str!("../../lib/recurrent.nn")),
    ("lib/schedules.nn", include_str!("../../lib/schedules.nn")),
];

/// What the library says against an error: the texts of the lines `// Helps E0302: …` above its definitions. `case` tells
/// apart the variants of one code (`// Helps E0104 loss: …`). So a message can name what to use, and the compiler need not.
pub fn helps(case: &str) -> impl Iterator<Item = &'static str> {
    let line = move |l: &'static str| l.strip_prefix("// Helps ")?.split_once(": ").filter(|(c, _)| *c == case);
    FILES.into_iter().flat_map(|(_, text)| text.lines()).filter_map(line).map(|(_, text)| text)
}
