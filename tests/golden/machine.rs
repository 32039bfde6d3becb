//! The two ways in which a graph is carried out: the interpreter in f64, and the compiled loops in f32.
//!
//! In: a graph, the numbers behind its symbols, values of inputs. Out: values of outputs. Invariant: an output that targets
//! an input is that input's value at the next run.

use super::file::Tensors;
use ndarray::{ArrayD, IxDyn};
use nnc::base::{DType, Extent};
use nnc::driver::compile;
use nnc::driver::engine::Engine;
use nnc::graph::{self, Graph};

pub trait Machine {
    fn name(&self) -> &'static str;
    fn set(&mut self, input: &str, value: &ArrayD<f64>);
    fn run(&mut self) -> Result<(), String>;
    /// An output, or an input that the graph updates.
    fn get(&self, name: &str) -> Result<ArrayD<f64>, String>;
}

/// Every way that there is.
pub fn all(graph: &Graph, symbols: [u64; 2]) -> Result<Vec<Box<dyn Machine>>, String> {
    let interpreter = Interpreter { graph: graph.clone(), symbols, inputs: Tensors::new(), outputs: Tensors::new() };
    Ok(vec![Box::new(interpreter), Box::new(Compiled::new(graph, symbols)?)])
}

struct Interpreter {
    graph: Graph,
    symbols: [u64; 2],
    inputs: Tensors,
    outputs: Tensors,
}

impl Machine for Interpreter {
    fn name(&self) -> &'static str {
        "graph interpreter"
    }

    fn set(&mut self, input: &str, value: &ArrayD<f64>) {
        self.inputs.insert(input.into(), value.clone());
    }

    fn run(&mut self) -> Result<(), String> {
        let values = graph::eval(&self.graph, &self.inputs, &self.symbols)?;
        for (output, value) in self.graph.outputs.iter().zip(values) {
            if output.target.is_some() {
                self.inputs.insert(output.name.clone(), value.clone());
            }
            self.outputs.insert(output.name.clone(), value);
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Result<ArrayD<f64>, String> {
        self.outputs.get(name).cloned().ok_or_else(|| format!("the graph has no output `{name}`"))
    }
}

struct Compiled {
    engine: Engine,
    symbols: [u64; 2],
}

impl Compiled {
    fn new(graph: &Graph, symbols: [u64; 2]) -> Result<Compiled, String> {
        let lowered = compile::lowered(graph.clone());
        let engine = Engine::new(lowered.program, &symbols).map_err(|d| d.message)?;
        Ok(Compiled { engine, symbols })
    }
}

impl Machine for Compiled {
    fn name(&self) -> &'static str {
        "compiled"
    }

    fn set(&mut self, input: &str, value: &ArrayD<f64>) {
        // An input that nothing reads may be gone.
        let Some(buffer) = self.engine.find(input) else { return };
        match (self.engine.program.buffers[buffer].dtype, value.ndim()) {
            (_, 0) => self.engine.write_number(buffer, value.sum()),
            (DType::F32, _) => {
                let words: Vec<u32> = value.iter().map(|x| (*x as f32).to_bits()).collect();
                self.engine.write(buffer, &words);
            }
            _ => {
                let words: Vec<u32> = value.iter().map(|x| *x as i32 as u32).collect();
                self.engine.write(buffer, &words);
            }
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.engine.run().map_err(|d| d.message)
    }

    fn get(&self, name: &str) -> Result<ArrayD<f64>, String> {
        let buffer = self.engine.find(name).ok_or_else(|| format!("the program has no output `{name}`"))?;
        let shape: Vec<usize> = self.engine.program.buffers[buffer]
            .shape
            .iter()
            .map(|e: &Extent| e.bound(&self.symbols) as usize)
            .collect();
        let count = shape.iter().product();
        let values = self.engine.words(buffer)[..count].iter().map(|w| f64::from(f32::from_bits(*w))).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| e.to_string())
    }
}
