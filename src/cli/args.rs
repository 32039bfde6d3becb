//! What can be typed.
//!
//! In: nothing. Out: the argument types, with help and examples. Invariant: every command has an example in its help.

use super::output::Format;
use crate::base::Diagnostic;
use crate::codegen::Vectors;
use crate::driver::Options;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A language for neural networks and its compiler.
#[derive(Parser)]
#[command(name = "nnc", version, about, propagate_version = true)]
#[command(after_help = "Examples:\n  nnc run models/iris.nn\n  nnc check models/iris.nn\n  nnc explain E0404")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    /// How messages are written
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub message_format: Format,
    /// Errors and results only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Check, compile, train and evaluate
    #[command(after_help = RUN)]
    Run(RunArgs),
    /// Say what is wrong with a file, without running it
    #[command(after_help = "Examples:\n  nnc check models/iris.nn\n  nnc check models/iris.nn --fix")]
    Check(CheckArgs),
    /// Write files in the canonical layout
    #[command(after_help = "Examples:\n  nnc fmt models/*.nn\n  nnc fmt --check models/*.nn\n  nnc fmt - < m.nn")]
    Fmt(FmtArgs),
    /// Print a stage of the compiler as text
    #[command(after_help = "Examples:\n  nnc ir models/iris.nn --stage graph\n  nnc ir a.nn --stage loops --diff b.nn")]
    Ir(IrArgs),
    /// Layers, shapes, parameters, memory
    #[command(after_help = "Examples:\n  nnc summary models/iris.nn\n  nnc summary m.nn --model mlp")]
    Summary(SummaryArgs),
    /// Say more about an error code
    #[command(after_help = "Examples:\n  nnc explain E0404\n  nnc explain")]
    Explain(ExplainArgs),
    /// Show a definition of the standard library
    #[command(after_help = "Examples:\n  nnc lib csv\n  nnc lib")]
    Lib(LibArgs),
    /// Measure a model's step
    #[command(after_help = BENCH)]
    Bench(BenchArgs),
}

/// A source file and how it is compiled.
#[derive(clap::Args)]
pub struct FileArgs {
    /// The source file, or `-` for standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Where the data of a source file may lie, and how the file is compiled.
#[derive(clap::Args)]
pub struct SourceArgs {
    /// Resolve data paths against this folder instead of the file's own
    #[arg(long, value_name = "FOLDER")]
    pub data_root: Option<PathBuf>,
    /// Permit data files anywhere
    #[arg(long)]
    pub allow_outside: bool,
    /// What a compressed data file may expand to
    #[arg(long, value_name = "BYTES", default_value_t = crate::runtime::limits::DECOMPRESSED_BYTES)]
    pub max_decompressed: u64,
    /// The number of a dimension that data would give, as in `V=96`
    #[arg(long, value_name = "NAME=N", value_parser = dimension)]
    pub dim: Vec<(String, u64)>,
    /// The vector registers to use: native, portable, avx2 or avx512; every choice gives the same bits
    #[arg(long, value_name = "KIND", default_value = "native", value_parser = Vectors::parse)]
    pub vectors: Vectors,
}

impl SourceArgs {
    pub fn options(&self) -> Result<Options, Box<Diagnostic>> {
        Ok(Options {
            data_root: self.data_root.clone(),
            allow_outside: self.allow_outside,
            max_decompressed: self.max_decompressed,
            dims: self.dim.clone(),
            threads: threads(None)?,
            vectors: self.vectors,
            ..Options::default()
        })
    }
}

#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Only the `train` item of this name
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// Instead of the file's seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads to use; default: as many as there are
    #[arg(long)]
    pub threads: Option<usize>,
    /// What may be taken of memory, as in `2GiB`; default: 80 % of what there is
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_limit: Option<u64>,
    /// Weights to start from, and `given` data
    #[arg(long, value_name = "FILE")]
    pub start: Option<PathBuf>,
    /// Write the weights at the end of the run to a safetensors file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Train nothing: only the figures of the weights of `--start`
    #[arg(long, requires = "start", conflicts_with = "save")]
    pub evaluate: bool,
    /// Show where the time goes, by call and by kernel; with a file, write a trace for a browser's trace viewer too
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub profile: Option<Option<PathBuf>>,
}

#[derive(clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Apply the fixes that were tried and hold
    #[arg(long)]
    pub fix: bool,
    /// Open the data files too
    #[arg(long)]
    pub data: bool,
    /// Warnings are errors
    #[arg(long, value_enum)]
    pub deny: Option<Deny>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Deny {
    Warnings,
}

#[derive(clap::Args)]
pub struct FmtArgs {
    /// Source files, or `-` for standard input to standard output
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; show what would change and exit with 1 if anything would
    #[arg(long)]
    pub check: bool,
}

#[derive(clap::Args)]
pub struct IrArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// ast, types, graph, grad, simple, fused, plan, loops, clif or asm
    #[arg(long, default_value = "graph", value_parser = stage)]
    pub stage: crate::driver::Stage,
    /// Show how the stage of this file differs
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct SummaryArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Only the model of this name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}

#[derive(clap::Args)]
pub struct ExplainArgs {
    /// A code such as E0404; without one, all are listed
    pub code: Option<String>,
}

#[derive(clap::Args)]
pub struct LibArgs {
    /// A name such as `dense`; without one, all are listed
    pub name: Option<String>,
}

const RUN: &str = "Examples:
  nnc run models/iris.nn
  nnc run models/iris.nn --seed 3 --threads 2
  nnc run models/iris.nn --save iris.safetensors
  nnc run models/iris.nn --start iris.safetensors --evaluate
  nnc run models/lenet.nn --profile trace.json";

const BENCH: &str = "Examples:
  nnc bench models/bench/mlp.nn --mode train --start mlp.safetensors
  nnc bench models/bench/mlp.nn --kernels
  nnc bench --suite models/bench";

#[derive(clap::Args)]
pub struct BenchArgs {
    /// The source file; with `--suite` a folder, by default `models`
    #[arg(required_unless_present = "suite")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub sources: SourceArgs,
    /// Every model of a folder: compiling by stage, step, arithmetic and memory beside the machine's own
    #[arg(long, conflicts_with_all = ["kernels", "start", "check"])]
    pub suite: bool,
    /// Every kernel of the step, the slowest first
    #[arg(long, conflicts_with = "check")]
    pub kernels: bool,
    /// A training step or one forward pass
    #[arg(long, value_enum, default_value = "train")]
    pub mode: Mode,
    /// Threads to use; default: as many as there are
    #[arg(long)]
    pub threads: Option<usize>,
    /// What may be taken of memory, as in `2GiB`; default: 80 % of what there is
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_limit: Option<u64>,
    /// Weights and batch; without it, `given` data is invented
    #[arg(long, value_name = "FILE")]
    pub start: Option<PathBuf>,
    /// Only the values: nothing random, nothing timed
    #[arg(long)]
    pub check: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Mode {
    Train,
    Infer,
}

fn stage(name: &str) -> Result<crate::driver::Stage, String> {
    let all = crate::driver::Stage::ALL.map(|s| s.name()).join(", ");
    crate::driver::Stage::parse(name).ok_or_else(|| format!("one of {all}"))
}

fn dimension(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("write NAME=NUMBER, as in V=96")?;
    let number = number.parse::<u64>().ok().filter(|n| *n > 0).ok_or("the number must be a whole one from 1")?;
    Ok((name.to_string(), number))
}

/// `2GiB`, `500 MB`, `4096`: binary and decimal units.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("write a number of bytes with a unit, as in 2GiB or 500MiB".to_string()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0);
    bytes.ok_or_else(|| "write a number of bytes from 1, as in 2GiB".to_string())
}

/// The most threads that are ever used.
const MOST_THREADS: usize = 256;

/// `--threads`, else `NNC_THREADS`, else what the machine has.
pub fn threads(asked: Option<usize>) -> Result<usize, Box<Diagnostic>> {
    let wrong = |text: &str| {
        let error = Diagnostic::plain("E0201", format!("the number of threads is `{text}`"));
        Box::new(error.note("write a whole number from 1, as in `--threads 2` or NNC_THREADS=2"))
    };
    let number = match (asked, std::env::var("NNC_THREADS")) {
        (Some(number), _) => number,
        (None, Ok(text)) => text.trim().parse().map_err(|_| wrong(&text))?,
        (None, Err(_)) => std::thread::available_parallelism().map_or(1, usize::from),
    };
    if number == 0 { Err(wrong("0")) } else { Ok(number.min(MOST_THREADS)) }
}
