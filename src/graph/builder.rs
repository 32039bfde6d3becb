//! The builder: the only way to make a graph node by node.
//!
//! In: operators' names, attributes and operands. Out: a graph. Invariant: a node that the operator's shape rule refuses
//! is never added, so every graph that a builder finishes verifies.

use super::body::{self, Body};
use super::{Graph, Input, Node, Output, Role};
use crate::base::{DType, Extent, Span, Type};
use crate::ops::{Attr, Attrs, Emit, OpDef, Value, find};
use std::collections::BTreeMap;

/// No tensor has more elements along its fixed axes: byte offsets and 64-bit products stay far from overflow.
pub const MAX_ELEMENTS: u64 = 1 << 40;

/// Adds nodes behind the ones that a graph has. New nodes take the span of the last [`Builder::set_span`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    graph: Graph,
    span: Span,
    /// The inputs by name: a model may have thousands.
    named: BTreeMap<String, Value>,
}

impl Builder {
    /// An empty graph. The symbol with number `i` is `Extent::Sym(i)`.
    pub fn new(name: impl Into<String>, symbols: &[&str]) -> Builder {
        let symbols = symbols.iter().map(|s| s.to_string()).collect();
        Builder::from_graph(Graph { name: name.into(), symbols, ..Graph::default() })
    }

    /// Continues a graph.
    pub fn from_graph(graph: Graph) -> Builder {
        let named = graph.inputs.iter().map(|i| (i.name.clone(), i.value)).collect();
        Builder { graph, span: Span::default(), named }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub fn finish(self) -> Graph {
        self.graph
    }

    /// The number of the symbol of this name, which is added if it is new.
    pub fn symbol(&mut self, name: &str) -> Extent {
        let found = self.graph.symbols.iter().position(|s| s == name);
        let index = found.unwrap_or_else(|| {
            self.graph.symbols.push(name.to_string());
            self.graph.symbols.len() - 1
        });
        Extent::Sym(index as u32)
    }

    pub fn span(&self) -> Span {
        self.span
    }

    /// The call in the user's file that the next nodes come from.
    pub fn set_span(&mut self, span: Span) {
        self.span = span;
    }

    /// A value from outside. Names are unique within a graph; a type that no tensor has (see [`check_type`]) panics.
    pub fn input(&mut self, name: impl Into<String>, role: Role, ty: Type, span: Span) -> Value {
        if let Err(text) = check_type(&ty, &self.graph.symbols) {
            panic!("invariant broken: an input's type is checked before it is made: {text}");
        }
        let node = Node { op: input_op(), attrs: Attrs::none(), args: vec![], ty: ty.clone(), span };
        let value = self.push(node);
        let name = name.into();
        self.named.insert(name.clone(), value);
        self.graph.inputs.push(Input { name, role, ty, value, span });
        value
    }

    /// Adds a node, or says in a sentence what does not fit. Attributes may come in any order.
    pub fn try_emit(&mut self, op: &str, attrs: Attrs, args: &[Value], span: Span) -> Result<Value, String> {
        let op = find(op).ok_or_else(|| format!("there is no operator `{op}` in the table"))?;
        let attrs = declared(op, attrs)?;
        let ty = infer(&self.graph, op, &attrs, args)?;
        Ok(self.push(Node { op, attrs, args: args.to_vec(), ty, span }))
    }

    /// The body of a loop, which [`Builder::scan_result`] names by the number given back.
    pub fn body(&mut self, body: Body) -> usize {
        self.graph.bodies.push(body);
        self.graph.bodies.len() - 1
    }

    /// One more row that each step of a loop stacks: a value of its body. Gives the number of the result.
    pub fn extend_body(&mut self, body: usize, name: &str, value: Value) -> usize {
        let body = &mut self.graph.bodies[body];
        let outputs = &mut body.graph.outputs;
        let found = outputs.iter().skip(body.carries).position(|o| o.value == value);
        found.map(|place| place + body.carries).unwrap_or_else(|| {
            outputs.push(Output { name: name.to_string(), value, target: None });
            outputs.len() - 1
        })
    }

    /// A result of the loop `body`, whose nodes all have these operands.
    pub fn scan_result(&mut self, body: usize, result: usize, args: &[Value]) -> Value {
        let mut all = self.graph.values();
        if let Some(found) = all.find(|&v| self.graph.scan_of(v) == Some((body, result))) {
            return found;
        }
        self.emit(scan_op().name(), body::attrs(body, result), args)
    }

    /// A loop, and all its results.
    pub fn scan(&mut self, body: Body, args: &[Value]) -> Vec<Value> {
        let results = body.graph.outputs.len();
        let body = self.body(body);
        (0..results).map(|result| self.scan_result(body, result, args)).collect()
    }

    /// A node that stands for a value of a loop's step until [`Builder::split_off`] takes it out again.
    pub fn placeholder(&mut self, ty: Type) -> Value {
        self.push(Node { op: input_op(), attrs: Attrs::none(), args: vec![], ty, span: self.span })
    }

    /// Takes out the nodes from `from` on, and the inputs among them.
    pub fn split_off(&mut self, from: usize) -> (Vec<Node>, Vec<Input>) {
        let kept = self.graph.inputs.partition_point(|i| (i.value.0 as usize) < from);
        let inputs = self.graph.inputs.split_off(kept);
        for input in &inputs {
            self.named.remove(&input.name);
        }
        (self.graph.nodes.split_off(from), inputs)
    }

    /// Puts in a node that was taken out; its operands are values of this graph. An input comes with its entry.
    pub fn again(&mut self, node: Node, input: Option<&Input>) -> Value {
        let value = self.push(node);
        if let Some(input) = input {
            self.named.insert(input.name.clone(), value);
            self.graph.inputs.push(Input { value, ..input.clone() });
        }
        value
    }

    pub fn output(&mut self, name: impl Into<String>, value: Value, target: Option<usize>) {
        self.graph.outputs.push(Output { name: name.into(), value, target });
    }

    /// The input of this name, if there is one.
    pub fn find_input(&self, name: &str) -> Option<Value> {
        self.named.get(name).copied()
    }

    /// The step ends with `value` in the place of the input `input` (a parameter or state).
    pub fn update(&mut self, input: Value, value: Value) {
        let target = self.graph.inputs.iter().position(|i| i.value == input);
        let target = target.unwrap_or_else(|| panic!("invariant broken: an update targets an input, not {input:?}"));
        self.output(self.graph.inputs[target].name.clone(), value, Some(target));
    }

    fn push(&mut self, node: Node) -> Value {
        self.graph.nodes.push(node);
        Value((self.graph.nodes.len() - 1) as u32)
    }
}

impl Emit for Builder {
    fn ty(&self, value: Value) -> &Type {
        &self.graph.node(value).ty
    }

    fn parts(&self, value: Value) -> (&'static dyn OpDef, &Attrs, &[Value]) {
        let node = self.graph.node(value);
        (node.op, &node.attrs, &node.args)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Value {
        match self.try_emit(op, attrs, args, self.span) {
            Ok(value) => value,
            Err(text) => panic!("invariant broken: rules and passes build well-typed nodes: {text}"),
        }
    }
}

/// The operator of nodes that stand for inputs.
pub fn input_op() -> &'static dyn OpDef {
    &crate::ops::sources::Input
}

/// The operator of nodes that stand for results of loops.
pub fn scan_op() -> &'static dyn OpDef {
    &crate::ops::scan::Scan
}

/// The symbols of a body are those of the graph around it, which may have more.
pub(super) fn same_symbols(inner: &[String], outer: &[String]) -> Result<(), String> {
    if outer.starts_with(inner) {
        return Ok(());
    }
    Err(format!("the body has the symbols {inner:?}, but the graph around it {outer:?}"))
}

/// The attributes in the operator's order, or which one is unknown, missing or there twice.
fn declared(op: &dyn OpDef, mut attrs: Attrs) -> Result<Attrs, String> {
    let mut sorted = Vec::new();
    for name in op.attributes() {
        let Some(place) = attrs.0.iter().position(|(n, _)| n == name) else {
            return Err(format!("`{}` needs the attribute `{name}`, but it is missing", op.name()));
        };
        sorted.push(attrs.0.remove(place));
    }
    match attrs.0.first() {
        Some((name, _)) => Err(format!("`{}` has no attribute `{name}`, or has it only once", op.name())),
        None => Ok(Attrs(sorted)),
    }
}

/// The type of a node by its operator's shape rule; symbols have their names in the message.
pub(super) fn infer(graph: &Graph, op: &dyn OpDef, attrs: &Attrs, args: &[Value]) -> Result<Type, String> {
    for (_, attr) in &attrs.0 {
        if let Attr::Shape(shape) = attr {
            check_type(&Type::new(DType::F32, shape.clone()), &graph.symbols)?;
        }
    }
    let mut types = Vec::with_capacity(args.len());
    for &arg in args {
        let node = graph.nodes.get(arg.0 as usize);
        types.push(&node.ok_or_else(|| format!("`{}` uses %{}, which does not stand before it", op.name(), arg.0))?.ty);
    }
    let named = |text: String| {
        let symbols = graph.symbols.iter().enumerate().rev();
        symbols.fold(text, |text, (i, name)| text.replace(&format!("?{i}"), name))
    };
    let ty = if op.name() == scan_op().name() { scan_type(graph, attrs, &types) } else { op.infer(attrs, &types) };
    let ty = ty.map_err(named)?;
    check_type(&ty, &graph.symbols)?;
    Ok(ty)
}

fn scan_type(graph: &Graph, attrs: &Attrs, types: &[&Type]) -> Result<Type, String> {
    let (body, result) = (attrs.count("body", 0)?, attrs.count("result", 0)?);
    let Some(found) = graph.bodies.get(body as usize) else {
        return Err(format!("there is no body {body}: the graph has {}", graph.bodies.len()));
    };
    found.takes(types, &graph.symbols)?;
    found.result(result as usize)
}

/// What a type must hold beside its operator's rule: symbols exist, no axis is empty, the fixed extents multiply to at most
/// [`MAX_ELEMENTS`], and f64 has rank 0.
pub fn check_type(ty: &Type, symbols: &[String]) -> Result<(), String> {
    let shown = || ty.display(symbols);
    let mut total = 1u64;
    for extent in &ty.shape {
        match *extent {
            Extent::Sym(s) if s as usize >= symbols.len() => {
                return Err(format!("{} names symbol {s}, but the graph has {}", shown(), symbols.len()));
            }
            Extent::Sym(_) => {}
            Extent::Fixed(0) => return Err(format!("{} has an axis of length 0, but needs at least 1", shown())),
            Extent::Fixed(n) => match total.checked_mul(n).filter(|&t| t <= MAX_ELEMENTS) {
                Some(product) => total = product,
                None => {
                    return Err(format!(
                        "{} has more than {MAX_ELEMENTS} elements, the most a tensor may have",
                        shown()
                    ));
                }
            },
        }
    }
    if ty.dtype == DType::F64 && !ty.shape.is_empty() {
        return Err(format!("{} is a tensor of f64, but f64 is for scalars of the step", shown()));
    }
    Ok(())
}
