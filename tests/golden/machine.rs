//! The two ways in which a graph is carried out: the interpreter in f64, and the machine code in f32.
//!
//! In: a graph, the numbers behind its symbols, values of inputs. Out: values of outputs. Invariant: an output that targets
//! an input is that input's value at the next run.

use super::file::Tensors;
use ndarray::{ArrayD, IxDyn};
use nnc::base::{DType, Type};
use nnc::driver::compile;
use nnc::driver::engine::{Device, Engine};
use nnc::graph::{self, Graph};
use nnc::runtime::machine::Store;

pub trait Machine {
    fn name(&self) -> &'static str;
    fn in_f64(&self) -> bool;
    fn set(&mut self, input: &str, value: &ArrayD<f64>);
    fn run(&mut self) -> Result<(), String>;
    /// An output, or an input that the graph updates.
    fn get(&self, name: &str) -> Result<ArrayD<f64>, String>;
}

/// Every way that there is.
pub fn all(graph: &Graph, symbols: [u64; 2]) -> Result<Vec<Box<dyn Machine>>, String> {
    let interpreter = Interpreter { graph: graph.clone(), symbols, inputs: Tensors::new(), outputs: Tensors::new() };
    Ok(vec![Box::new(interpreter), Box::new(Native::new(graph, symbols)?)])
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

    fn in_f64(&self) -> bool {
        true
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

/// Words of the machine code's memory; the numbers of the step go in with each step.
struct Native {
    engine: Engine,
    /// As it was written: types of inputs and outputs.
    graph: Graph,
    symbols: [u64; 2],
    step: f64,
}

impl Native {
    fn new(graph: &Graph, symbols: [u64; 2]) -> Result<Native, String> {
        let lowered = compile::lowered(graph.clone(), None).map_err(|d| d.message)?;
        let engine = Engine::new(lowered, &symbols, Device::ONE, &mut Store::default()).map_err(|d| d.message)?;
        Ok(Native { engine, graph: graph.clone(), symbols, step: 0.0 })
    }

    fn input(&self, name: &str) -> Option<&Type> {
        self.graph.inputs.iter().find(|i| i.name == name).map(|i| &i.ty)
    }
}

impl Machine for Native {
    fn name(&self) -> &'static str {
        "machine code"
    }

    fn in_f64(&self) -> bool {
        false
    }

    fn set(&mut self, input: &str, value: &ArrayD<f64>) {
        if input == "step" {
            self.step = value.sum();
            return;
        }
        // An input that nothing reads may be gone.
        let (Some(buffer), Some(ty)) = (self.engine.find(input), self.input(input)) else { return };
        let word = |x: &f64| if ty.dtype == DType::F32 { (*x as f32).to_bits() } else { *x as i32 as u32 };
        let words: Vec<u32> = value.iter().map(word).collect();
        self.engine.write(buffer, &words);
    }

    fn run(&mut self) -> Result<(), String> {
        self.engine.step(&self.symbols, &[("step", self.step)]);
        Ok(())
    }

    fn get(&self, name: &str) -> Result<ArrayD<f64>, String> {
        let output = self.graph.outputs.iter().find(|o| o.name == name);
        let output = output.ok_or_else(|| format!("the graph has no output `{name}`"))?;
        let shape = &self.graph.node(output.value).ty.shape;
        let shape: Vec<usize> = shape.iter().map(|e| e.bound(&self.symbols) as usize).collect();
        let words = &self.engine.words(self.engine.output(name))[..shape.iter().product()];
        let values = words.iter().map(|w| f64::from(f32::from_bits(*w))).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| e.to_string())
    }
}
