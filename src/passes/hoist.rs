//! Takes the f64 scalars of the step (learning rates, bias corrections) out of the graph.
//!
//! In: a verified graph. Out: the graph with an input for each place where such a scalar turns into an f32 or i32, and the
//! program that computes those once per step. Invariant: no value of the graph that is left is f64.

use crate::base::{DType, Extent, Span, Type};
use crate::graph::{Builder, Graph, Role};
use crate::ops::{
    Emit, Index, Io, Kernel, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, Value, build, number,
};

/// Computes the inputs `scalar.0`, `scalar.1`, … of a hoisted graph from the scalars of the run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StepScalars {
    /// The names of the f64 scalars that are read: `step`, `lr`, …
    pub inputs: Vec<String>,
    /// Name, type (F32 or I32) and register of each result.
    pub results: Vec<(String, DType, u32)>,
    code: Vec<Instruction>,
}

#[derive(Clone, Debug, PartialEq)]
enum Instruction {
    Input(u32),
    Const(f64),
    Apply(ScalarOp, [u32; 3]),
}

impl StepScalars {
    /// The results in order, as f64: the run rounds them to f32 or takes them as i32. Every name of `inputs` is given.
    pub fn eval(&self, given: &[(&str, f64)]) -> Vec<f64> {
        let (mut registers, mut results) = (Vec::new(), Vec::new());
        self.eval_into(given, &mut registers, &mut results);
        results
    }

    /// The same without new memory once the two vectors have grown.
    pub fn eval_into(&self, given: &[(&str, f64)], registers: &mut Vec<f64>, results: &mut Vec<f64>) {
        registers.clear();
        for instruction in &self.code {
            let value = match *instruction {
                Instruction::Const(value) => value,
                Instruction::Input(i) => {
                    let name = &self.inputs[i as usize];
                    match given.iter().find(|(n, _)| n == name) {
                        Some((_, value)) => *value,
                        None => {
                            panic!("invariant broken: the run gives every scalar of the step, but `{name}` is missing")
                        }
                    }
                }
                Instruction::Apply(op, args) => {
                    let x = args.map(|arg| registers.get(arg as usize).copied().unwrap_or(0.0));
                    number::apply(op, &x[..op.arity()])
                }
            };
            registers.push(value);
        }
        results.clear();
        results.extend(self.results.iter().map(|(_, _, register)| registers[*register as usize]));
    }
}

/// A value of type f64 that depends on more than the step: such a number has no place in a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct NotAScalar {
    pub node: Value,
    pub span: Span,
}

/// The graph without f64, and the program for its scalars. Inputs of type f64 go away; all others stay, in order.
pub fn hoist(graph: &Graph) -> Result<(Graph, StepScalars), NotAScalar> {
    let mut h = Hoister {
        graph,
        b: Builder::new(graph.name.clone(), &graph.symbols.iter().map(String::as_str).collect::<Vec<_>>()),
        values: vec![None; graph.nodes.len()],
        registers: vec![None; graph.nodes.len()],
        scalars: StepScalars::default(),
    };
    for body in &graph.bodies {
        h.b.body(body.clone());
    }
    for value in graph.values() {
        h.visit(value)?;
    }
    for output in &graph.outputs {
        let value = h.outside(output.value);
        let target = output.target.and_then(|target| {
            let name = &graph.inputs[target].name;
            h.b.graph().inputs.iter().position(|input| input.name == *name)
        });
        h.b.output(output.name.clone(), value, target);
    }
    Ok((h.b.finish().swept(), h.scalars))
}

struct Hoister<'a> {
    graph: &'a Graph,
    b: Builder,
    /// Where each node is in the new graph.
    values: Vec<Option<Value>>,
    /// Where each node is in the program of the scalars.
    registers: Vec<Option<u32>>,
    scalars: StepScalars,
}

impl Hoister<'_> {
    fn visit(&mut self, value: Value) -> Result<(), NotAScalar> {
        let (node, place) = (self.graph.node(value), value.0 as usize);
        let real = node.ty.dtype == DType::F64;
        if let Some(input) = self.graph.input_of(value) {
            if !real {
                self.values[place] = Some(self.b.input(input.name.clone(), input.role, input.ty.clone(), input.span));
            } else if input.role == Role::Scalar {
                self.scalars.inputs.push(input.name.clone());
                self.registers[place] = Some(self.push(Instruction::Input(self.scalars.inputs.len() as u32 - 1)));
            } else {
                return Err(NotAScalar { node: value, span: node.span });
            }
            return Ok(());
        }
        // What has become f32 or i32 is rounded by the run, so arithmetic with it stays in the graph.
        let scalar = |arg: &Value| {
            let wide = matches!(self.graph.node(*arg).ty.dtype, DType::F64 | DType::Bool);
            wide && self.registers[arg.0 as usize].is_some()
        };
        let known = node.args.iter().all(scalar) && node.ty.shape.is_empty();
        let leaves = self.graph.arg_types(value).iter().any(|ty| ty.dtype == DType::F64);
        if known && (real || leaves || node.ty.dtype == DType::Bool) {
            self.registers[place] = Some(self.record(value));
            if real || !node.args.is_empty() {
                return Ok(());
            }
        }
        if real || leaves {
            return Err(NotAScalar { node: value, span: node.span });
        }
        let args: Vec<Value> = node.args.iter().map(|&arg| self.outside(arg)).collect();
        self.b.set_span(node.span);
        self.values[place] = Some(self.b.emit(node.op.name(), node.attrs.clone(), &args));
        Ok(())
    }

    /// The value in the new graph: where it is a scalar of the step, an input that is made at its first use. A truth value
    /// comes in as an i32, an f64 as an f32.
    fn outside(&mut self, value: Value) -> Value {
        if let Some(found) = self.values[value.0 as usize] {
            return found;
        }
        let node = self.graph.node(value);
        let Some(register) = self.registers[value.0 as usize] else {
            panic!("invariant broken: every node is in the graph or in the program of its scalars")
        };
        let dtype = match node.ty.dtype {
            DType::Bool | DType::I32 => DType::I32,
            DType::F32 | DType::F64 => DType::F32,
        };
        let name = format!("scalar.{}", self.scalars.results.len());
        self.scalars.results.push((name.clone(), dtype, register));
        self.b.set_span(node.span);
        let mut made = self.b.input(name, Role::Scalar, Type::scalar(dtype), node.span);
        if node.ty.dtype == DType::Bool {
            let zero = build::constant(&mut self.b, 0.0, DType::I32);
            made = build::lt(&mut self.b, zero, made);
        }
        self.values[value.0 as usize] = Some(made);
        made
    }

    fn push(&mut self, instruction: Instruction) -> u32 {
        self.scalars.code.push(instruction);
        self.scalars.code.len() as u32 - 1
    }

    /// Writes down what the operator's formula does with its rank-0 operands.
    fn record(&mut self, value: Value) -> u32 {
        let (node, arg_types) = (self.graph.node(value), self.graph.arg_types(value));
        let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &arg_types, out: value, ty: &node.ty };
        let args = node.args.iter().filter_map(|arg| self.registers[arg.0 as usize]).collect();
        let mut recorder = Recorder { code: &mut self.scalars.code, args };
        node.op.element(&mut recorder, &io, &[]).0
    }
}

/// The kernel that writes instructions. Operators on rank-0 operands have no places to compute and nothing to reduce.
struct Recorder<'a> {
    code: &'a mut Vec<Instruction>,
    args: Vec<u32>,
}

const NO_PLACES: &str = "invariant broken: a formula of rank-0 operands computes no places";

impl Kernel for Recorder<'_> {
    fn constant(&mut self, value: f64, _: DType) -> Scalar {
        self.code.push(Instruction::Const(value));
        Scalar(self.code.len() as u32 - 1)
    }

    fn load(&mut self, arg: usize, _: &[Index]) -> Scalar {
        Scalar(self.args[arg])
    }

    fn scalar(&mut self, op: ScalarOp, args: &[Scalar]) -> Scalar {
        let mut places = [0; 3];
        places.iter_mut().zip(args).for_each(|(place, arg)| *place = arg.0);
        self.code.push(Instruction::Apply(op, places));
        Scalar(self.code.len() as u32 - 1)
    }

    fn reduce(&mut self, _: ReduceKind, _: Order, _: &[Extent], _: ReduceBody<'_>) -> Scalar {
        panic!("{NO_PLACES}")
    }

    fn scatter(&mut self, _: Index, _: &[Extent], _: ScatterBody<'_>) -> Scalar {
        panic!("{NO_PLACES}")
    }

    fn affine(&mut self, _: &[(i64, Index)], _: i64) -> Index {
        panic!("{NO_PLACES}")
    }

    fn div_rem(&mut self, _: Index, _: u64) -> (Index, Index) {
        panic!("{NO_PLACES}")
    }

    fn index_value(&mut self, _: Index) -> Scalar {
        panic!("{NO_PLACES}")
    }

    fn value_index(&mut self, _: Scalar) -> Index {
        panic!("{NO_PLACES}")
    }

    fn guarded(&mut self, _: &[(Index, Extent)], _: &mut dyn FnMut(&mut dyn Kernel) -> Scalar, _: f64) -> Scalar {
        panic!("{NO_PLACES}")
    }
}
