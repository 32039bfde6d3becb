//! The update of every weight: clipping, the optimizer's equations, and the states they carry.
//!
//! In: gradients, and the optimizer of a `train` item. Out: outputs of the graph that target weights and states.
//! Invariant: a state is named `optimizer.STATE.WEIGHT`, and every state has one next value.

use super::elaborate::{Elaborator, Res, join};
use super::errors;
use super::value::{Axis, Func, Kind, Tensor, Val, ValKind};
use crate::base::{DType, Span, Type};
use crate::graph::Role;
use crate::ops::{Attr, Emit, Value};
use crate::syntax::ast::{Def, DefKind, Expr, Slot, Stmt, StmtKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a `train` item says about the update.
#[derive(Clone, Debug)]
pub struct UpdateRule {
    pub optimizer: Expr,
    /// `schedule.lr` and its like: the setting's name and its schedule.
    pub schedules: Vec<(String, Expr)>,
    pub clip: Option<Expr>,
    /// Whether the run's end is counted in steps or epochs.
    pub counted: bool,
}

/// The first value of a state: a number everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInit {
    pub name: String,
    pub value: f64,
}

/// A name whose last value is the next value of a state.
#[derive(Debug)]
pub struct KeptState {
    name: String,
    input: Value,
    span: Span,
}

impl Elaborator<'_> {
    /// Adds the update of all weights to the graph; `gradients` are in the order of the weights.
    pub fn update(&mut self, rule: &UpdateRule, gradients: &[Value]) -> Res<()> {
        self.sealed = Some("an optimizer");
        let mut grads: Vec<Tensor> = Vec::new();
        for (path, g) in self.order.clone().iter().zip(gradients) {
            grads.push(Tensor { value: *g, ..self.weights[path].tensor.clone() });
        }
        if let Some(clip) = &rule.clip {
            let v = self.function(clip).map_err(|d| errors::clips_how(d, clip))?;
            let ValKind::Func(f) = &v.kind else { panic!("`function` gives a function") };
            let clipped = self.apply_func(f, vec![Val::new(ValKind::Set(grads), clip.span)], clip.span)?;
            let ValKind::Set(set) = clipped.kind else {
                return Err(errors::wrong_type(self.blame(clip.span), "a clipping function", &clipped));
            };
            grads = set;
        }
        let v = self.function(&rule.optimizer)?;
        let ValKind::Func(Func::Def { def, settings, span, .. }) = &v.kind else {
            return Err(errors::wrong_type(self.blame(rule.optimizer.span), "an optimizer", &v));
        };
        if def.kind != DefKind::Optimizer {
            return Err(errors::wrong_type_words(self.blame(*span), "an optimizer", &format!("`{}`", def.name.text)));
        }
        let mut settings = (**settings).clone();
        for (name, e) in &rule.schedules {
            if !def.params.iter().any(|p| p.name.text == *name) {
                let names: Vec<&str> = def.params.iter().map(|p| p.name.text.as_str()).collect();
                return Err(errors::unknown_setting(self.blame(e.span), name, &def.name.text, &names));
            }
            self.assert_ends(def, &settings, name, e)?;
            let v = self.schedule(e, rule.counted)?;
            settings.insert(name.clone(), v);
        }
        if let Some(p) = def.params.iter().find(|p| p.default.is_none() && !settings.contains_key(&p.name.text)) {
            let d = errors::missing_setting(self.blame(*span), &def.name.text, &p.name.text);
            return Err(self.with_example(d, def, &p.name.text, *span, None));
        }
        let mut moved = self.order.is_empty();
        for (path, g) in self.order.clone().into_iter().zip(grads) {
            let w = self.weights[&path].tensor.clone();
            self.enter(*span);
            let done = self.step_of(def, &settings, &path, w, g, *span);
            self.leave();
            moved |= done?;
        }
        if !moved {
            self.warnings.push(errors::moves_nothing(*span, &def.name.text));
        }
        Ok(())
    }

    /// What the optimizer asserts of a setting must hold where the pieces of its schedule begin and end.
    fn assert_ends(&mut self, def: &Def, settings: &BTreeMap<String, Val>, name: &str, schedule: &Expr) -> Res<()> {
        for v in self.schedule_ends(schedule)? {
            self.frames.push(Default::default());
            let span = v.span;
            let frame = self.frame();
            frame.vars = settings.clone();
            frame.vars.insert(name.to_string(), v);
            self.enter(span);
            // An assertion that needs more than settings is for the step itself.
            let about = |s: &&Stmt| match &s.kind {
                StmtKind::Assert { condition, .. } => {
                    let mut only = true;
                    super::items::names_in_expr(condition, &mut |n, _| only &= n == name);
                    only
                }
                _ => false,
            };
            let mut asserts = def.body.iter().filter(about);
            let done = asserts.try_for_each(|s| self.statements(std::slice::from_ref(s)).map(|_| ()));
            self.leave();
            self.frames.pop();
            done?;
        }
        Ok(())
    }

    /// A layer or function; a bare name without its required settings is complained about by who applies it.
    fn function(&mut self, e: &Expr) -> Res<Val> {
        let v = match &e.kind {
            crate::syntax::ast::ExprKind::Call(c) => self.call(c, e.span, true)?,
            _ => self.eval(e)?,
        };
        match v.kind {
            ValKind::Func(_) => Ok(v),
            _ => Err(self.unquoted(errors::wrong_type(self.blame(e.span), "a function", &v), &v)),
        }
    }

    fn step_of(
        &mut self,
        def: &Arc<crate::syntax::ast::Def>,
        settings: &BTreeMap<String, Val>,
        path: &str,
        w: Tensor,
        g: Tensor,
        span: Span,
    ) -> Res<bool> {
        let [Some(w_name), Some(g_name)] =
            [0, 1].map(|i| def.inputs.get(i).and_then(|p| p.name.as_ref()).map(|n| n.text.clone()))
        else {
            return Err(errors::wrong_type_words(self.blame(span), "an optimizer of `w, g`", "other inputs"));
        };
        self.frames.push(Default::default());
        self.frame().vars = settings.clone();
        for p in &def.params {
            if !settings.contains_key(&p.name.text)
                && let Some(e) = &p.default
            {
                let v = self.eval(e);
                let v = v.inspect_err(|_| drop(self.frames.pop()))?;
                self.frame().vars.insert(p.name.text.clone(), v);
            }
        }
        self.frame().vars.insert(w_name.clone(), Val::tensor(w.clone(), span));
        self.frame().vars.insert(g_name, Val::tensor(g, span));
        self.update = Some((w.clone(), path.to_string()));
        let done = self.statements(&def.body).and_then(|_| self.store_step(&w_name, path, &w, span));
        self.update = None;
        self.frames.pop();
        done
    }

    /// Whether the weight's next value is another one.
    fn store_step(&mut self, w_name: &str, path: &str, w: &Tensor, span: Span) -> Res<bool> {
        let states = std::mem::take(&mut self.frame().states);
        for KeptState { name, input, .. } in states {
            let next = self.lookup(&name).cloned().unwrap_or_else(|| panic!("a state is a name of its frame"));
            let shape = self.graph.ty(input).shape.clone();
            let axes: Vec<Axis> = shape.iter().map(|e| Axis::new(*e)).collect();
            let value = self.next_value(&next, &axes, span)?;
            if value != input {
                self.graph.update(input, value);
            }
        }
        let next = self.lookup(w_name).cloned().unwrap_or_else(|| panic!("the weight is a name of its frame"));
        let value = self.next_value(&next, &w.axes, span)?;
        let input = self.weights[path].tensor.value;
        self.graph.update(input, value);
        Ok(!self.is_same(value, input))
    }

    /// Whether `value` is `of`, give or take a product with the constant 0: `w - 0 * g`.
    fn is_same(&self, value: Value, of: Value) -> bool {
        let node = self.graph.graph().node(value);
        match (node.op.name(), node.args.as_slice()) {
            _ if value == of => true,
            ("add" | "sub", [a, b]) => self.is_same(*a, of) && self.is_zero(*b),
            _ => false,
        }
    }

    fn is_zero(&self, value: Value) -> bool {
        let node = self.graph.graph().node(value);
        match (node.op.name(), node.args.as_slice()) {
            ("const", _) => matches!(node.attrs.get("value"), Some(Attr::Float(v)) if *v == 0.0),
            ("mul", [a, b]) => self.is_zero(*a) || self.is_zero(*b),
            ("add" | "sub", [a, b]) => self.is_zero(*a) && self.is_zero(*b),
            ("div" | "neg" | "broadcast" | "to_f32" | "reshape", [a, ..]) => self.is_zero(*a),
            _ => false,
        }
    }

    pub fn next_value(&mut self, v: &Val, axes: &[Axis], span: Span) -> Res<Value> {
        let t = match (&v.kind, v.as_number()) {
            (ValKind::Tensor(t), _) => t.clone(),
            (ValKind::Scalar(s), _) => {
                let value = self.emit("to_f32", Default::default(), &[*s], span)?;
                Tensor { value, axes: vec![], kind: Kind::Real }
            }
            (_, Some(n)) => Tensor { value: self.constant(n, DType::F32, span)?, axes: vec![], kind: Kind::Real },
            _ => return Err(errors::wrong_type(self.blame(v.span), "a tensor", v)),
        };
        if t.axes.len() > axes.len() {
            let kept = super::value::describe_extents(&super::tensor::extents(axes));
            return Err(errors::value_differs(self.blame(v.span), &kept, &t));
        }
        Ok(self.arrange(&t, axes, span)?.value)
    }

    /// `state m = 0`: an input of the shape of the weight, or of its own axes, with its first value.
    pub fn state(&mut self, slot: &Slot) -> Res<()> {
        let Some((w, path)) = self.update.clone() else {
            if self.frames.last().is_some_and(|f| f.kind == Some(DefKind::Op)) {
                return self.carried_state(slot);
            }
            return Err(errors::unsupported(self.blame(slot.span), "`state` outside of an operator or an optimizer"));
        };
        if let Some(first) = self.frame().states.iter().find(|s| s.name == slot.name.text).map(|s| s.span) {
            return Err(errors::duplicate(first, self.blame(slot.name.span), "the state", &slot.name.text));
        }
        let mut axes = w.axes.clone();
        if let Some(dims) = slot.ty.as_ref().and_then(|t| t.dims.as_ref()) {
            axes.clear();
            for d in dims {
                axes.push(Axis::new(self.extent(d)?));
            }
        }
        let value = match &slot.init {
            Some(e) => {
                let v = self.eval(e)?;
                let at = self.blame(e.span);
                v.as_number().ok_or_else(|| errors::wrong_type(at, "a number as first value", &v))?
            }
            None => 0.0,
        };
        let name = join(&join("optimizer", &slot.name.text), &path);
        let ty = Type::f32(super::tensor::extents(&axes));
        let input = self.input(&name, Role::State, ty, self.blame(slot.span));
        self.states.push(StateInit { name, value });
        let tensor = Tensor { value: input, axes, kind: Kind::Real };
        let frame = self.frame();
        frame.states.push(KeptState { name: slot.name.text.clone(), input, span: slot.name.span });
        frame.vars.insert(slot.name.text.clone(), Val::tensor(tensor, slot.span));
        Ok(())
    }
}
