//! The stages of the compiler, by name.
//!
//! In: nothing. Out: names. Invariant: the order here is the order in which the compiler runs them.

/// What `nnc ir --stage` prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// The tree of the source.
    Ast,
    /// The checked signature of every definition.
    Types,
    /// The forward graph with the loss.
    Graph,
    /// The graph of the whole training step.
    Grad,
    /// The same after folding, sharing and removal.
    Simple,
    /// The same with the values that are stored.
    Fused,
    /// The same with each buffer's place in the arena.
    Plan,
    /// Loop nests.
    Loops,
    /// Cranelift's intermediate form.
    Clif,
    /// Machine code.
    Asm,
}

impl Stage {
    pub const ALL: [Stage; 10] = [
        Stage::Ast,
        Stage::Types,
        Stage::Graph,
        Stage::Grad,
        Stage::Simple,
        Stage::Fused,
        Stage::Plan,
        Stage::Loops,
        Stage::Clif,
        Stage::Asm,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Ast => "ast",
            Stage::Types => "types",
            Stage::Graph => "graph",
            Stage::Grad => "grad",
            Stage::Simple => "simple",
            Stage::Fused => "fused",
            Stage::Plan => "plan",
            Stage::Loops => "loops",
            Stage::Clif => "clif",
            Stage::Asm => "asm",
        }
    }

    pub fn parse(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|s| s.name() == name)
    }
}
