//! A program with its memory: what a run or a benchmark steps.
//!
//! In: loops, the numbers behind their symbols. Out: outputs after each run. Invariant: what is bound under a name is seen
//! by every engine that shares the store.

use crate::base::{DType, Diagnostic};
use crate::loops::eval;
use crate::loops::ir::Program;

/// A program on the loop interpreter.
pub struct Engine {
    pub program: Program,
    buffers: Vec<Vec<u32>>,
    symbols: Vec<u64>,
}

impl Engine {
    pub fn new(program: Program, symbols: &[u64]) -> Result<Engine, Diagnostic> {
        let buffers = eval::empty_buffers(&program, symbols).map_err(|e| Diagnostic::plain("E0803", e))?;
        Ok(Engine { program, buffers, symbols: symbols.to_vec() })
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.program.buffers.iter().position(|b| b.name == name)
    }

    pub fn write(&mut self, buffer: usize, words: &[u32]) {
        self.buffers[buffer][..words.len()].copy_from_slice(words);
    }

    pub fn write_number(&mut self, buffer: usize, value: f64) {
        let words: Vec<u32> = match self.program.buffers[buffer].dtype {
            DType::F64 => vec![value.to_bits() as u32, (value.to_bits() >> 32) as u32],
            DType::F32 => vec![(value as f32).to_bits()],
            DType::I32 | DType::Bool => vec![value as i64 as u32],
        };
        self.write(buffer, &words);
    }

    pub fn words(&self, buffer: usize) -> &[u32] {
        &self.buffers[buffer]
    }

    /// Another batch size, at most the one that the memory was made for.
    pub fn set_symbols(&mut self, symbols: &[u64]) {
        self.symbols = symbols.to_vec();
    }

    pub fn run(&mut self) -> Result<(), Diagnostic> {
        eval::eval(&self.program, &mut self.buffers, &self.symbols).map_err(|e| Diagnostic::plain("E0402", e))
    }
}
