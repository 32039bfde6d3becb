//! The verifier: whether a graph keeps its invariants.
//!
//! In: a graph from anywhere. Out: nothing, or the first thing that is wrong, as a sentence. Invariant: what it accepts, every
//! pass, the interpreter and the lowering accept.

use super::builder::{check_type, infer, input_op};
use super::{Graph, Node};
use crate::ops::Value;
use std::collections::BTreeSet;

/// Arguments stand before uses; types follow from the operators' rules; inputs, outputs and targets fit each other.
pub fn verify(graph: &Graph) -> Result<(), String> {
    for (i, body) in graph.bodies.iter().enumerate() {
        body.verify(&graph.symbols).map_err(|text| format!("body {i}: {text}"))?;
    }
    let inputs: BTreeSet<Value> = graph.inputs.iter().map(|i| i.value).collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        let at = |text: String| format!("%{i} = {}: {text}", node.op.name());
        verify_node(graph, Value(i as u32), node, &inputs).map_err(at)?;
    }
    verify_symbols(graph)?;
    verify_scans(graph)?;
    verify_inputs(graph)?;
    verify_outputs(graph)
}

fn verify_node(graph: &Graph, value: Value, node: &Node, inputs: &BTreeSet<Value>) -> Result<(), String> {
    if let Some(late) = node.args.iter().find(|&&arg| arg >= value) {
        return Err(format!("the operand %{} does not stand before its use", late.0));
    }
    if node.op.name() == input_op().name() {
        if !inputs.contains(&value) || !node.args.is_empty() {
            return Err(
                "an input must be in the list of inputs and has no operands, but this one is not so".to_string()
            );
        }
        return check_type(&node.ty, &graph.symbols);
    }
    let names: Vec<&str> = node.attrs.0.iter().map(|(n, _)| *n).collect();
    if names != node.op.attributes() {
        return Err(format!("the attributes are {names:?}, but the operator declares {:?}", node.op.attributes()));
    }
    let ty = infer(graph, node.op, &node.attrs, &node.args)?;
    if ty != node.ty {
        let (has, is) = (node.ty.display(&graph.symbols), ty.display(&graph.symbols));
        return Err(format!("the type is {has}, but the operator's rule gives {is}"));
    }
    Ok(())
}

/// Symbols are different words, so that a printed shape reads back.
fn verify_symbols(graph: &Graph) -> Result<(), String> {
    let word = |s: &str| {
        s.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && s.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    for (i, symbol) in graph.symbols.iter().enumerate() {
        if !word(symbol) || graph.symbols[..i].contains(symbol) {
            return Err(format!("symbols are words and differ from one another, but `{symbol}` does not hold to it"));
        }
    }
    Ok(())
}

/// All nodes of a body are one loop, so they have the same operands; each result has one node.
fn verify_scans(graph: &Graph) -> Result<(), String> {
    let (first, mut seen) = (graph.first_scans(), BTreeSet::new());
    for value in graph.values() {
        let Some((body, result)) = graph.scan_of(value) else { continue };
        if !seen.insert((body, result)) {
            return Err(format!("%{} is a second node of result {result} of body {body}", value.0));
        }
        let Some(first) = first[body] else { continue };
        if graph.node(value).args != graph.node(first).args {
            return Err(format!("%{} and %{} are one loop, but their operands differ", first.0, value.0));
        }
    }
    Ok(())
}

fn verify_inputs(graph: &Graph) -> Result<(), String> {
    let (mut names, mut last) = (BTreeSet::new(), None);
    for input in &graph.inputs {
        let Some(node) = graph.nodes.get(input.value.0 as usize) else {
            return Err(format!("the input `{}` is %{}, but there is no such node", input.name, input.value.0));
        };
        if node.op.name() != input_op().name() || node.ty != input.ty {
            return Err(format!("the input `{}` and its node %{} differ", input.name, input.value.0));
        }
        if last.is_some_and(|last| last >= input.value) {
            return Err(format!("the inputs stand in the order of their nodes, but `{}` does not", input.name));
        }
        if !names.insert(&input.name) {
            return Err(format!("the name `{}` is that of two inputs, but names are unique", input.name));
        }
        last = Some(input.value);
    }
    Ok(())
}

fn verify_outputs(graph: &Graph) -> Result<(), String> {
    let (mut names, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for output in &graph.outputs {
        let Some(node) = graph.nodes.get(output.value.0 as usize) else {
            return Err(format!("the output `{}` is %{}, but there is no such node", output.name, output.value.0));
        };
        if !names.insert(&output.name) {
            return Err(format!("the name `{}` is that of two outputs, but names are unique", output.name));
        }
        let Some(target) = output.target else { continue };
        let Some(input) = graph.inputs.get(target) else {
            return Err(format!("the output `{}` goes to input {target}, but there is no such input", output.name));
        };
        if input.ty != node.ty {
            let (from, to) = (node.ty.display(&graph.symbols), input.ty.display(&graph.symbols));
            return Err(format!("the output `{}` is {from}, but its target `{}` is {to}", output.name, input.name));
        }
        if !targets.insert(target) {
            return Err(format!("the input `{}` is the target of two outputs, but takes one value", input.name));
        }
    }
    Ok(())
}
