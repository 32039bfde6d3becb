//! The elaborator: what it knows while definitions are unfolded, and how definitions and statements are carried out.
//!
//! In: definitions of the user and of the library. Out: nodes in a graph, weights by path. Invariant: a weight is made
//! once per path; an error is blamed on the innermost place in the user's own text.

use super::errors::{self, Boxed};
use super::items::Items;
use super::optimizer::KeptState;
use super::origins::Origins;
use super::terms::Fraction;
use super::value::{Func, Label, Template, Tensor, Val, ValKind};
pub use super::value::{Kept, ended, join, keep};
pub use super::weights::Weight;
use crate::base::{Diagnostic, Extent, Span, Type};
use crate::graph::{Builder, Role};
use crate::ops::Value;
use crate::syntax::ast::{Def, DefKind, Expr, Stmt, StmtKind, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub type Res<T> = Result<T, Boxed>;

/// More layers than this are a mistake, and are refused before they are made.
pub const MAX_APPLICATIONS: usize = 100_000;
const MAX_DEPTH: usize = 200;
/// Expressions inside each other, across definitions and constants; each takes a part of the stack.
const MAX_NESTING: usize = 1500;

/// A layer as the user wrote it: for `summary`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub path: String,
    pub name: String,
    pub depth: usize,
    pub shape: Vec<Extent>,
    /// Elements in weights first made inside it.
    pub parameters: u64,
    /// The nodes of the graph that were made inside it.
    pub nodes: std::ops::Range<u32>,
    pub span: Span,
}

/// The names of one definition while it is carried out.
#[derive(Default, Debug)]
pub struct Frame {
    pub vars: BTreeMap<String, Val>,
    pub path: String,
    /// A number for the calls that lead here from where a name was given: the layers of one text in one place have one
    /// origin, however often they are applied.
    pub origin: u32,
    pub counters: BTreeMap<String, usize>,
    /// Whether the next layer that nobody named has the name of the frame.
    pub nameless: bool,
    /// The input of a definition whose port has no name, and of a body.
    pub input: Option<Val>,
    /// Extents of the indices seen in equations.
    pub labels: Vec<(Label, Extent)>,
    /// The indices that say how far they run: `u < 3`.
    pub bounds: BTreeSet<String>,
    /// The states of an optimizer.
    pub states: Vec<KeptState>,
    /// The same for the states of an operator: name, place in `Elaborator::carried`.
    pub carried: Vec<(String, usize)>,
    pub kind: Option<DefKind>,
    /// The indices on the left of the equation that is being evaluated.
    pub left: Vec<String>,
    /// The input that gave a dimension its number.
    pub births: BTreeMap<String, Value>,
}

pub struct Elaborator<'a> {
    pub items: &'a Items,
    pub graph: Builder,
    pub train: bool,
    /// False where a training step must be the same each time: what draws random numbers takes its `infer` form.
    pub random: bool,
    /// The constants that were read so far and are numbers.
    pub constants: BTreeMap<String, Val>,
    pub frames: Vec<Frame>,
    pub weights: BTreeMap<String, Weight>,
    /// Paths of what is trained, in the order in which they were made.
    pub order: Vec<String>,
    /// Paths of the states of operators, such as running means, and the value that each has now.
    pub carried: Vec<(String, Tensor)>,
    pub layers: Vec<Layer>,
    pub warnings: Vec<Diagnostic>,
    /// What is wrong beside the first mistake.
    pub more: Vec<Boxed>,
    /// Layers that, in a batch of one row, take the mean of a single value.
    pub alone: Vec<Span>,
    /// What `uniform` and `normal` fill while a weight is initialised.
    pub init_shape: Option<Vec<Extent>>,
    /// The tensor whose shape a `state` of an optimizer takes, and the prefix of its name.
    pub update: Option<(Tensor, String)>,
    /// The first values of all states.
    pub states: Vec<super::optimizer::StateInit>,
    /// True while a loss is reduced to one number at each call.
    pub reduce_losses: bool,
    /// The loss that is a metric, by the number of its frame: it keeps its values.
    pub metric: Option<usize>,
    /// What the losses came to so far.
    pub fractions: Vec<Fraction>,
    /// The scans whose bodies are carried out, outermost first.
    pub steps: Vec<super::scan::Steps>,
    /// True where scans run from the last row to the first unless they say otherwise.
    pub backward: bool,
    /// Where no weight is made: the name of the place.
    pub sealed: Option<&'static str>,
    calls: Vec<Span>,
    pub origins: Origins,
    applications: usize,
    /// How many expressions are being evaluated inside each other.
    nesting: usize,
    /// The product of the repetitions around the place that is carried out.
    pub repetitions: f64,
    streams: i64,
}

impl<'a> Elaborator<'a> {
    /// The symbols of every graph: `B` the batch, `N` the rows of the data.
    pub const BATCH: Extent = Extent::Sym(0);
    pub const ROWS: Extent = Extent::Sym(1);

    pub fn new(items: &'a Items, name: &str, train: bool) -> Elaborator<'a> {
        let graph = Builder::new(name, &["B", "N"]);
        Elaborator {
            items,
            graph,
            train,
            random: true,
            constants: BTreeMap::new(),
            frames: vec![Frame::default()],
            weights: BTreeMap::new(),
            order: vec![],
            carried: vec![],
            layers: vec![],
            warnings: vec![],
            more: vec![],
            alone: vec![],
            init_shape: None,
            update: None,
            states: vec![],
            reduce_losses: false,
            metric: None,
            fractions: vec![],
            steps: vec![],
            backward: false,
            sealed: None,
            calls: vec![],
            origins: Origins::default(),
            applications: 0,
            nesting: 0,
            repetitions: 1.0,
            streams: 0,
        }
    }

    /// The next symbol of the graph. Names are told apart by their text, so one that is taken gets a `_`.
    pub fn declare_symbol(&mut self, name: &str) {
        let mut name = name.to_string();
        while self.graph.graph().symbols.contains(&name) {
            name.push('_');
        }
        self.graph.symbol(&name);
    }

    pub fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().unwrap_or_else(|| panic!("there is always a frame"))
    }

    pub fn lookup(&self, name: &str) -> Option<&Val> {
        self.frames.last().and_then(|f| f.vars.get(name))
    }

    /// The innermost place in the user's text: `span` itself, or the call that led into the library.
    pub fn blame(&self, span: Span) -> Span {
        if self.items.is_library(span) { self.calls.last().copied().unwrap_or(span) } else { span }
    }

    /// Until [`Elaborator::leave`], mistakes in the library are blamed on `span`.
    pub fn enter(&mut self, span: Span) {
        self.calls.push(span);
    }

    pub fn leave(&mut self) {
        self.calls.pop();
    }

    /// An input of the graph, made at its first use.
    pub fn input(&mut self, name: &str, role: Role, ty: Type, span: Span) -> Value {
        match self.graph.find_input(name) {
            Some(value) => value,
            None => self.graph.input(name, role, ty, span),
        }
    }

    pub fn next_stream(&mut self) -> i64 {
        self.streams += 1;
        self.streams
    }

    fn count_application(&mut self, span: Span) -> Res<()> {
        self.applications += 1;
        if self.applications > MAX_APPLICATIONS {
            return Err(errors::expands(self.blame(span), self.applications as f64));
        }
        if self.frames.len() > MAX_DEPTH {
            return Err(errors::nests(self.blame(span), MAX_DEPTH));
        }
        Ok(())
    }

    /// Evaluates an expression that may stand in another one.
    pub fn eval(&mut self, e: &Expr) -> Res<Val> {
        if self.nesting >= MAX_NESTING {
            return Err(errors::nests(self.blame(e.span), MAX_NESTING));
        }
        self.nesting += 1;
        let value = self.value(e);
        self.nesting -= 1;
        value
    }

    /// Applies a layer or function to its inputs.
    pub fn apply_func(&mut self, func: &Func, inputs: Vec<Val>, span: Span) -> Res<Val> {
        self.count_application(span)?;
        match func {
            Func::Compose(parts) => {
                let mut values = inputs;
                for part in parts {
                    let ValKind::Func(f) = &part.kind else { panic!("a composition holds functions") };
                    values = vec![self.apply_func(f, values, part.span)?];
                }
                Ok(values.remove(0))
            }
            Func::Builtin { name, args, axes, .. } => {
                let mut all: Vec<(Option<String>, Val)> = inputs.into_iter().map(|v| (None, v)).collect();
                all.extend(args.iter().cloned());
                self.builtin(name, all, axes.as_deref(), span)
            }
            Func::Template(t) => self.apply_template(t, inputs, span),
            Func::Def { def, settings, body, path, span: at } => {
                let user = !self.items.is_library(*at);
                if user {
                    self.calls.push(*at);
                }
                let within = path.as_ref().map_or(self.frame().origin, |kept| kept.within);
                let origin = self.origin(within, *at);
                let path = match path {
                    Some(kept) => {
                        self.origins.own(&kept.path, origin);
                        kept.path.clone()
                    }
                    None => self.fresh_path(&def.name.text, origin),
                };
                let made = self.order.len();
                let first = self.graph.graph().nodes.len() as u32;
                let out = self.instantiate(def, settings, body.clone(), (path.clone(), origin), inputs, *at);
                let out = match out {
                    // A mistake that the library meets is the caller's: never a line that the user did not write.
                    Err(mut d) if user && d.span().is_some_and(|s| self.items.is_library(s)) => {
                        d.labels[0].span = *at;
                        Err(d)
                    }
                    out => out,
                };
                if user {
                    if let (Ok(v), DefKind::Op | DefKind::Block | DefKind::Fn) = (&out, def.kind) {
                        self.record_layer(def, path, v, made, first, *at);
                    }
                    self.calls.pop();
                }
                out
            }
        }
    }

    fn record_layer(&mut self, def: &Def, path: String, out: &Val, made: usize, first: u32, span: Span) {
        let ValKind::Tensor(t) = &out.kind else { return };
        let size = |p: &String| self.weights[p].shape.iter().filter_map(|e| e.fixed()).product::<u64>();
        let parameters = self.order[made..].iter().map(size).sum();
        let shape = t.own_axes().iter().map(|a| a.extent).collect();
        let nodes = first..self.graph.graph().nodes.len() as u32;
        let depth = self.calls.len() - 1;
        let path = path.replace('/', "");
        self.layers.push(Layer { path, name: def.name.text.clone(), depth, shape, parameters, nodes, span });
    }

    /// Carries out a definition: settings, ports, body, result.
    fn instantiate(
        &mut self,
        def: &Arc<Def>,
        settings: &BTreeMap<String, Val>,
        body: Option<Arc<Template>>,
        (path, origin): (String, u32),
        inputs: Vec<Val>,
        span: Span,
    ) -> Res<Val> {
        let mut frame = Frame { path, origin, kind: Some(def.kind), ..Frame::default() };
        frame.vars = settings.clone();
        if let Some(t) = body {
            frame.vars.insert("body".into(), Val::new(ValKind::Func(Func::Template(t)), span));
        }
        self.frames.push(frame);
        let result = self.carry_out(def, inputs, span);
        self.frames.pop();
        result
    }

    fn carry_out(&mut self, def: &Arc<Def>, inputs: Vec<Val>, span: Span) -> Res<Val> {
        for p in &def.params {
            if self.lookup(&p.name.text).is_some() {
                continue;
            }
            match &p.default {
                Some(e) => {
                    let v = self.eval(e)?;
                    self.frame().vars.insert(p.name.text.clone(), v);
                }
                None => {
                    let d = errors::missing_setting(self.blame(span), &def.name.text, &p.name.text);
                    let d = errors::input_as_setting(d, def);
                    return Err(self.with_example(d, def, &p.name.text, span, None));
                }
            }
        }
        let outer = self.bind_ports(def, inputs, span)?;
        let last = self.statements(&def.body)?;
        self.carry_on(span)?;
        self.result(def, last, &outer, span)
    }

    fn apply_template(&mut self, t: &Arc<Template>, inputs: Vec<Val>, span: Span) -> Res<Val> {
        let path = self.frame().path.clone();
        let n = self.frame().counters.entry("{}".into()).or_insert(0);
        *n += 1;
        let path = if *n == 1 { path } else { join(&path, &n.to_string()) };
        let (kind, within) = (self.frame().kind, self.frame().origin);
        let origin = self.origin(within, t.span);
        let input = inputs.into_iter().next();
        let (vars, nameless) = (t.vars.clone(), t.nameless);
        self.frames.push(Frame { vars, path, origin, nameless, input: input.clone(), kind, ..Frame::default() });
        let result = self.statements(&t.body).and_then(|last| self.finish_body(last, input, span));
        self.frames.pop();
        result
    }

    /// A body whose last statement is a function is applied to the input.
    pub fn finish_body(&mut self, last: Option<Val>, input: Option<Val>, span: Span) -> Res<Val> {
        match (last, input) {
            (Some(Val { kind: ValKind::Func(f), span }), Some(x)) => {
                self.apply_func(&f, vec![x], span).map(|v| Val { span, ..v })
            }
            (Some(v), _) => Ok(v),
            (None, _) => Err(errors::not_a_statement(self.blame(span), "a body without a result")),
        }
    }

    /// The value of the last statement that has one.
    pub fn statements(&mut self, body: &[Stmt]) -> Res<Option<Val>> {
        let (mut last, mut written) = (None, None);
        let training = self.train && (self.random || !self.items.draws(body));
        for stmt in body {
            match &stmt.kind {
                StmtKind::Expr(e) => {
                    let v = self.eval(e)?;
                    // An `if` that only binds names has no value.
                    if !matches!(&v.kind, ValKind::List(items) if items.is_empty()) {
                        self.warn_of_dropped(written.replace(e.span));
                        last = Some(v);
                    }
                }
                StmtKind::Bind { targets, value } => self.bind(targets, value)?,
                StmtKind::Param(slot) => self.param(slot)?,
                StmtKind::State(slots) => {
                    for slot in slots {
                        self.state(slot)?;
                    }
                }
                StmtKind::Assert { condition, message } => self.assertion(condition, message.as_ref())?,
                StmtKind::Phase { train, body } => {
                    if *train == training
                        && let Some(v) = self.statements(body)?
                    {
                        last = Some(v);
                    }
                }
                StmtKind::Scan { args, states, body } => last = Some(self.scan(args, states, body, stmt.span)?),
                _ => return Err(errors::not_a_statement(self.blame(stmt.span), "a definition's body")),
            }
        }
        Ok(last)
    }

    /// W0201 for the value of a statement before the last.
    fn warn_of_dropped(&mut self, span: Option<Span>) {
        let Some(span) = span.filter(|s| !self.items.is_library(*s)) else { return };
        let warning = errors::dropped(span);
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn bind(&mut self, targets: &[Target], value: &Expr) -> Res<()> {
        self.each_target_once(targets)?;
        let index = targets.iter().filter_map(|t| t.index.as_ref()).flatten();
        self.frame().left = index.filter_map(|i| i.name().map(String::from)).collect();
        if let Some(index) = targets.first().and_then(|t| t.index.as_ref()) {
            self.open_equation(index, value)?;
        }
        let v = self.eval(value)?;
        if targets.len() > 1 {
            let ValKind::List(items) = v.kind else {
                return Err(errors::wrong_type(self.blame(value.span), &format!("{} values", targets.len()), &v));
            };
            if items.len() != targets.len() {
                let found = Val::new(ValKind::List(items), v.span);
                return Err(errors::wrong_type(self.blame(value.span), &format!("{} values", targets.len()), &found));
            }
            for (t, item) in targets.iter().zip(items) {
                self.assign(t, item)?;
            }
            return Ok(());
        }
        self.assign(&targets[0], v)
    }

    fn assign(&mut self, target: &Target, mut v: Val) -> Res<()> {
        let name = &target.path[0].text;
        if target.path.len() > 1 {
            return Err(errors::not_a_statement(self.blame(target.span), "a definition's body"));
        }
        if let Some(index) = &target.index {
            v = self.equation(index, v, target.span)?;
        }
        if let ValKind::Func(f) = &mut v.kind {
            let kept = self.kept(name);
            keep(f, kept);
        }
        self.frame().vars.insert(name.clone(), v);
        Ok(())
    }

    pub fn check_size(&self, shape: &[Extent], span: Span) -> Res<()> {
        let n = shape.iter().filter_map(|e| e.fixed()).try_fold(4u64, |n, e| n.checked_mul(e));
        if n.is_none_or(|n| n > 1 << 46) { Err(errors::too_large(self.blame(span), shape)) } else { Ok(()) }
    }
}
