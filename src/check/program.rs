//! From checked items to whole graphs: the training step, the evaluation, the inference, the first values.
//!
//! In: a file's items. Out: graphs with named inputs and outputs. Invariant: the weights of all graphs of one run have the
//! same names and shapes, in the same order.

use super::elaborate::{Elaborator, Layer, Res};
use super::errors;
use super::forward::{Figure, Forward};
use super::items::Items;
use super::optimizer::{StateInit, UpdateRule};
use super::spec::{DataSpec, TrainSpec};
use super::value::Val;
use crate::base::both::both;
use crate::base::{DType, Diagnostic, Extent, Span, Type};
use crate::graph::{Builder, Graph, Role};
use crate::ops::Value;
use crate::syntax::ast::{Def, Expr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A `train` item, ready to be elaborated.
#[derive(Clone, Debug)]
pub struct Run {
    pub spec: TrainSpec,
    pub model: Arc<Def>,
    pub settings: BTreeMap<String, Val>,
    pub loss: Expr,
    pub metrics: Vec<(String, Expr)>,
    pub rule: UpdateRule,
    /// What is done to the model's first input in training.
    pub augment: Option<Expr>,
    /// What the data says of its symbols; empty until it is opened.
    pub dims: Vec<(u32, u64)>,
}

/// All that a file says, checked.
#[derive(Debug)]
pub struct Checked {
    pub items: Items,
    pub data: Vec<DataSpec>,
    pub runs: Vec<Run>,
}

/// What differentiation gives: a gradient per weight, and the weights that the loss does not reach.
pub struct Gradients {
    pub values: Vec<Value>,
    pub unreached: Vec<Value>,
}

/// Where differentiation met an operator without a gradient.
pub struct NoGradient {
    pub span: Span,
    pub op: &'static str,
}

/// The outputs of a figure's terms: `loss.sum` and `loss.weight`, `loss.sum2` and `loss.weight2`, …
pub fn term_outputs(figure: &str, term: usize) -> [String; 2] {
    let number = if term == 0 { String::new() } else { (term + 1).to_string() };
    ["sum", "weight"].map(|part| format!("{figure}.{part}{number}"))
}

/// Reverse mode, supplied by the passes (this module stands below them).
pub type Differentiate<'a> = &'a mut dyn FnMut(&mut Builder, Value, &[Value]) -> Result<Gradients, NoGradient>;

/// The training step of a run, and what goes with it.
pub struct Training {
    /// Forward, loss and metrics only.
    pub forward: Graph,
    pub graph: Graph,
    pub states: Vec<StateInit>,
    pub layers: Vec<Layer>,
    pub warnings: Vec<Diagnostic>,
    /// Layers that take the mean of a single value where a batch has one row.
    pub alone: Vec<Span>,
}

/// The graph that fills every weight, and the weights whose last axis a file of tensors has in the second place.
pub struct FirstValues {
    pub graph: Graph,
    pub filters: Vec<String>,
}

impl Elaborator<'_> {
    fn give_figures(&mut self, figures: &[Figure]) {
        for figure in figures {
            for (i, term) in figure.terms.iter().enumerate() {
                let [sum, weight] = term_outputs(&figure.name, i);
                self.graph.output(sum, term.sum, None);
                self.graph.output(weight, term.weight, None);
            }
        }
    }
}

impl Training {
    /// What a training part of `rows` rows makes of the last batch.
    pub fn last_batch(&self, batch: u64, rows: u64) -> Vec<Diagnostic> {
        if batch == 1 || rows % batch != 1 {
            return vec![];
        }
        let why = format!("of {rows} rows in batches of {batch}, the last batch has one");
        self.alone.iter().map(|&at| errors::mean_of_one(at, &why)).collect()
    }
}

impl Checked {
    /// The data of a run, with the numbers that it has bound.
    pub fn data_of(&self, run: &Run) -> DataSpec {
        let found = self.data.iter().find(|d| d.name == run.spec.data);
        let mut data = found.unwrap_or_else(|| panic!("a run's data is in the file")).clone();
        data.bind(&run.dims);
        data
    }

    /// An elaborator that knows the symbols of the run's data.
    pub fn elaborator(&self, run: &Run, data: &DataSpec, train: bool) -> Elaborator<'_> {
        let mut e = Elaborator::new(&self.items, &run.spec.name, train);
        if !data.unbound().is_empty() {
            data.symbols.iter().for_each(|name| e.declare_symbol(name));
        }
        e
    }

    /// The whole step: gather, forward, loss, metrics, backward, clip, update. Unless `random`, definitions that draw random
    /// numbers in training take their `infer` form.
    pub fn training(&self, run: &Run, random: bool, differentiate: Differentiate<'_>) -> Res<Training> {
        let data = self.data_of(run);
        let mut e = self.elaborator(run, &data, true);
        e.random = random;
        let f = e.forward(run, &data)?;
        e.graph.output("loss", f.loss, None);
        e.give_figures(&f.figures);
        let forward = e.graph.clone().finish();
        let weights: Vec<Value> = e.order.iter().map(|p| e.weights[p].tensor.value).collect();
        let gradients = differentiate(&mut e.graph, f.loss, &weights)
            .map_err(|n| errors::not_differentiable(e.blame(n.span), n.op))?;
        for v in &gradients.unreached {
            if let Some(w) = e.weights.values().find(|w| w.tensor.value == *v) {
                let warning = errors::unreached(w.span, &w.path);
                e.warnings.push(warning);
            }
        }
        e.update(&run.rule, &gradients.values)?;
        e.store_carried();
        e.alone.sort_unstable();
        e.alone.dedup();
        if run.spec.batch == 1 {
            e.warnings.extend(e.alone.iter().map(|&at| errors::mean_of_one(at, "a batch is one row")));
        }
        let (graph, alone) = (e.graph.finish(), e.alone);
        Ok(Training { forward, graph, states: e.states, layers: e.layers, warnings: e.warnings, alone })
    }

    /// The model and its losses in the form of the definitions' `infer` parts.
    fn infer(&self, run: &Run, data: &DataSpec) -> Res<(Elaborator<'_>, Forward)> {
        let mut e = self.elaborator(run, data, false);
        let forward = e.forward(run, data)?;
        Ok((e, forward))
    }

    /// Loss and metrics as sums and weights, in the form of the definitions' `infer` parts.
    pub fn evaluation(&self, run: &Run) -> Res<Graph> {
        let (mut e, f) = self.infer(run, &self.data_of(run))?;
        e.give_figures(&f.figures);
        Ok(e.graph.finish())
    }

    /// The model's outputs alone.
    pub fn inference(&self, run: &Run) -> Res<Graph> {
        let (mut e, f) = self.infer(run, &self.data_of(run))?;
        for (name, t) in &f.outputs {
            e.graph.output(name.as_str(), t.value, None);
        }
        Ok(e.graph.finish())
    }

    /// Fills every weight; inputs are `seed` and `counter`, outputs target the weights.
    pub fn first_values(&self, run: &Run) -> Res<FirstValues> {
        let data = self.data_of(run);
        let (e, _) = self.infer(run, &data)?;
        self.fill(run, &data, &e)
    }

    /// The first values of the weights that a model was found to have.
    fn fill(&self, run: &Run, data: &DataSpec, e: &Elaborator<'_>) -> Res<FirstValues> {
        let mut init = self.elaborator(run, data, false);
        for path in e.order.iter().chain(e.carried.iter().map(|(path, _)| path)) {
            let w = &e.weights[path];
            let input = init.graph.input(path, w.role, Type::new(DType::F32, w.shape.clone()), w.span);
            init.frames.push(Default::default());
            init.frame().vars =
                w.vars.iter().filter(|(_, v)| v.is_plain()).map(|(k, v)| (k.clone(), v.clone())).collect();
            init.enter(w.span);
            let t = init.first_value(w);
            init.leave();
            init.frames.pop();
            let value = t?.value;
            init.graph.update(input, value);
        }
        let filters = e.weights.values().filter(|w| w.filter).map(|w| w.path.clone()).collect();
        Ok(FirstValues { graph: init.graph.finish(), filters })
    }

    /// Elaborates all that a run needs, the training step beside the rest: for `nnc check`. What is wrong, or the warnings.
    pub fn try_run(&self, run: &Run, differentiate: Differentiate<'_>) -> Vec<Diagnostic> {
        let infer = || {
            let data = self.data_of(run);
            let mut e = self.elaborator(run, &data, false);
            let Err(first) = e.forward(run, &data).map(|_| ()) else {
                return self.fill(run, &data, &e).err().into_iter().collect();
            };
            let mut found = vec![first];
            found.append(&mut e.more);
            found.extend(self.try_update(run).err());
            found
        };
        let (wrong, training) = both(infer, || self.training(run, true, differentiate));
        match (wrong.is_empty(), training) {
            (true, Ok(training)) => training.warnings,
            (true, Err(d)) => vec![*d],
            (false, _) => wrong.into_iter().map(|d| *d).collect(),
        }
    }

    /// The update of a weight of any shape, without the model.
    fn try_update(&self, run: &Run) -> Res<()> {
        let mut e = self.elaborator(run, &self.data_of(run), true);
        e.pretend_weight(&run.rule.optimizer, run.spec.span);
        let gradient = e.graph.input("gradient", Role::Param, Type::f32(vec![Extent::Fixed(1)]), run.spec.span);
        e.update(&run.rule, &[gradient])
    }
}
