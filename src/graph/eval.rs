//! The reference interpreter: the meaning of a graph in f64.
//!
//! In: a verified graph, its inputs and the numbers behind its symbols. Out: the outputs. Invariant: every element comes from
//! the operator's own formula; integers and truth values are held as f64 and stay exact.

use super::kernel::{Numbers, Operand, advance};
use super::{Body, Graph};
use crate::base::shape::elements;
use crate::base::{DType, Type};
use crate::ops::{Index, Io, Value};
use ndarray::{ArrayD, Axis, IxDyn};
use std::collections::BTreeMap;

/// The most elements that the interpreter holds in one value.
const MAX_HELD: u64 = 1 << 28;

/// The outputs in order. Errors: a symbol without a number, an input that is missing or has another shape, a row
/// number out of range.
pub fn eval(
    graph: &Graph,
    inputs: &BTreeMap<String, ArrayD<f64>>,
    symbols: &[u64],
) -> Result<Vec<ArrayD<f64>>, String> {
    let values = eval_values(graph, inputs, symbols)?;
    Ok(graph.outputs.iter().map(|output| values[output.value.0 as usize].clone()).collect())
}

/// The values of all nodes, in order.
pub fn eval_values(
    graph: &Graph,
    inputs: &BTreeMap<String, ArrayD<f64>>,
    symbols: &[u64],
) -> Result<Vec<ArrayD<f64>>, String> {
    if symbols.len() != graph.symbols.len() {
        return Err(format!("the graph has {} symbols, but {} numbers are given", graph.symbols.len(), symbols.len()));
    }
    let mut values: Vec<ArrayD<f64>> = Vec::with_capacity(graph.nodes.len());
    let mut loops: Vec<Option<Vec<ArrayD<f64>>>> = vec![None; graph.bodies.len()];
    for value in graph.values() {
        let result = match graph.input_of(value) {
            Some(input) => {
                let given =
                    inputs.get(&input.name).ok_or_else(|| format!("the input `{}` is not given", input.name))?;
                check_input(&input.name, &input.ty, given, symbols)?;
                given.as_standard_layout().into_owned()
            }
            None => match graph.scan_of(value) {
                Some((body, result)) => {
                    if loops[body].is_none() {
                        let args: Vec<_> = graph.node(value).args.iter().map(|a| &values[a.0 as usize]).collect();
                        let steps = scan(&graph.bodies[body], &args, symbols);
                        loops[body] = Some(steps.map_err(|text| format!("%{} = scan: {text}", value.0))?);
                    }
                    loops[body].as_ref().map(|results| results[result].clone()).unwrap_or_default()
                }
                None => node(graph, value, &values, symbols)?,
            },
        };
        values.push(result);
    }
    Ok(values)
}

/// All results of a loop, step by step.
fn scan(body: &Body, args: &[&ArrayD<f64>], symbols: &[u64]) -> Result<Vec<ArrayD<f64>>, String> {
    let inputs = &body.graph.inputs;
    let sliced = body.carries..body.carries + body.slices;
    let mut given: BTreeMap<String, ArrayD<f64>> =
        inputs.iter().zip(args).map(|(input, arg)| (input.name.clone(), (*arg).clone())).collect();
    let mut results = Vec::new();
    for result in 0..body.graph.outputs.len() {
        let shape: Vec<usize> = bound(&body.result(result)?, symbols).into_iter().map(|n| n as usize).collect();
        results.push(ArrayD::zeros(IxDyn(&shape)));
    }
    let steps = body.extent.bound(symbols) as usize;
    for step in 0..steps {
        let step = if body.reverse { steps - 1 - step } else { step };
        for i in sliced.clone() {
            given.insert(inputs[i].name.clone(), args[i].index_axis(Axis(0), step).to_owned());
        }
        for (i, value) in eval(&body.graph, &given, symbols)?.into_iter().enumerate() {
            if i < body.carries {
                given.insert(inputs[i].name.clone(), value);
            } else {
                results[i].index_axis_mut(Axis(0), step).assign(&value);
            }
        }
    }
    for (result, input) in results.iter_mut().zip(inputs).take(body.carries) {
        result.clone_from(&given[&input.name]);
    }
    Ok(results)
}

fn check_input(name: &str, ty: &Type, given: &ArrayD<f64>, symbols: &[u64]) -> Result<(), String> {
    let shape = bound(ty, symbols);
    if !given.shape().iter().map(|&n| n as u64).eq(shape.iter().copied()) {
        return Err(format!("the input `{name}` needs the shape {shape:?}, but has {:?}", given.shape()));
    }
    let fits = |&x: &f64| match ty.dtype {
        DType::F32 | DType::F64 => true,
        DType::I32 => x.fract() == 0.0 && x.abs() <= f64::from(u32::MAX),
        DType::Bool => x == 0.0 || x == 1.0,
    };
    match given.iter().find(|x| !fits(x)) {
        Some(x) => Err(format!("the input `{name}` is {}, but has the element {x}", ty.dtype)),
        None => Ok(()),
    }
}

fn bound(ty: &Type, symbols: &[u64]) -> Vec<u64> {
    ty.shape.iter().map(|e| e.bound(symbols)).collect()
}

/// One node, element by element.
fn node(graph: &Graph, value: Value, values: &[ArrayD<f64>], symbols: &[u64]) -> Result<ArrayD<f64>, String> {
    let node = graph.node(value);
    let failed = |text: String| format!("%{} = {}: {text}", value.0, node.op.name());
    let arg_types = graph.arg_types(value);
    let mut operands = Vec::new();
    for (&arg, ty) in node.args.iter().zip(&arg_types) {
        let Some(data) = values[arg.0 as usize].as_slice() else {
            panic!("invariant broken: the interpreter's arrays are row-major")
        };
        operands.push(Operand { data, shape: bound(ty, symbols), dtype: ty.dtype });
    }
    let total = elements(&node.ty.shape, symbols).filter(|&n| n <= MAX_HELD);
    let total = total.ok_or_else(|| failed(format!("the result has more than {MAX_HELD} elements")))?;
    let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &arg_types, out: value, ty: &node.ty };
    let shape = bound(&node.ty, symbols);
    let limits: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    let handles: Vec<Index> = (0..shape.len() as u32).map(Index).collect();
    let mut at = vec![0i64; shape.len()];
    let mut kernel = Numbers::new(operands, symbols);
    let mut data = Vec::with_capacity(total as usize);
    for _ in 0..total {
        kernel.start(&at);
        let element = node.op.element(&mut kernel, &io, &handles);
        data.push(kernel.number(element));
        advance(&mut at, &limits);
    }
    if let Some(text) = kernel.failure {
        return Err(failed(text));
    }
    let shape: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), data).map_err(|e| failed(e.to_string()))
}
