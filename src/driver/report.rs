//! What commands report, as plain data.
//!
//! In: nothing. Out: types that the driver fills and the command line formats. Invariant: no text layout lives here.

/// `nnc summary`: one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub model: String,
    /// The input, then each layer in the order of the source.
    pub layers: Vec<Layer>,
    /// Parameters and how many of them are trained.
    pub parameters: u64,
    pub trained: u64,
    /// For a batch of this many rows: bytes of the arena at its peak, kernels of a training step and of inference.
    pub batch: u64,
    pub arena_bytes: u64,
    pub train_kernels: u64,
    pub infer_kernels: u64,
    /// The fused groups of a training step: each kernel's name, which says its operators.
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// `dense(16)`, indented by its depth.
    pub name: String,
    pub depth: usize,
    /// `[B, 16]`
    pub shape: String,
    pub parameters: u64,
    /// Multiplications and additions of one example's forward pass.
    pub flops: u64,
    /// Bytes of one example's result.
    pub bytes: u64,
}

/// `nnc bench`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bench {
    /// Seconds per step, over samples that are means of at least 10 ms of steps.
    pub median_s: f64,
    pub min_s: f64,
    pub samples: u64,
    /// From exec to the end of the first step.
    pub cold_1_s: f64,
    pub peak_rss_mib: f64,
    /// Allocated for what a step computes: in training, the peak that `nnc summary` names.
    pub arena_bytes: u64,
    /// Native calls of a step, those of all threads together: one a thread.
    pub calls_per_step: f64,
    /// The losses of the first five training steps, or the mean absolute output.
    pub values: Vec<f64>,
}
