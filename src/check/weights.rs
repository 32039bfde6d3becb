//! Weights: the parameters and states of definitions.
//!
//! In: `param` and `state` statements. Out: inputs of the graph, by path, with their first values. Invariant: a path means one
//! tensor; a state has one value at each point of the elaboration, and one next value at the end of a training step.

use super::elaborate::{Elaborator, Res, join};
use super::errors;
use super::ports::shape_text;
use super::value::{Axis, Kind, Tensor, Val, is_word};
use crate::base::{Extent, Span, Type};
use crate::graph::Role;
use crate::syntax::ast::{Expr, Slot};
use std::collections::BTreeMap;

/// A tensor that a definition keeps, and how it gets its first value.
#[derive(Clone, Debug)]
pub struct Weight {
    pub path: String,
    pub tensor: Tensor,
    pub shape: Vec<Extent>,
    /// `filter[out, h, w, in]`: a file of tensors has the last axis in the second place.
    pub filter: bool,
    /// `Role::State` where an operator carries it and no gradient changes it.
    pub role: Role,
    pub init: Expr,
    pub vars: BTreeMap<String, Val>,
    pub span: Span,
    /// Where it was made: the origin of its definition, and the place of its name there.
    pub made: (u32, Span),
}

impl Elaborator<'_> {
    /// `param weight: [out, D] = he_uniform`: made at the first application of this path, found again later.
    pub fn param(&mut self, slot: &Slot) -> Res<()> {
        let path = join(&self.frame().path, &slot.name.text);
        match self.weights.get(&path).filter(|_| self.sealed.is_none()) {
            Some(w) if w.role != Role::Param => return Err(self.named_twice(w.span, slot)),
            Some(w) => self.same_origin(w, slot)?,
            None => {
                self.make_weight(slot, &path, Role::Param)?;
                self.order.push(path.clone());
            }
        }
        let v = Val::tensor(self.weights[&path].tensor.clone(), slot.span);
        self.frame().vars.insert(slot.name.text.clone(), v);
        Ok(())
    }

    /// `state running_mean: [C] = zeros` of an operator: not trained; the value that its name has at the end of the operator's
    /// body is the one with which the next step begins.
    pub fn carried_state(&mut self, slot: &Slot) -> Res<()> {
        if !self.steps.is_empty() {
            return Err(errors::unsupported(self.blame(slot.span), "a `state` of an operator inside of a `scan`"));
        }
        let path = join(&self.frame().path, &slot.name.text);
        let place = match self.carried.iter().position(|(p, _)| *p == path && self.sealed.is_none()) {
            Some(place) => {
                self.same_origin(&self.weights[&path], slot)?;
                place
            }
            None => {
                if let Some(w) = self.weights.get(&path) {
                    return Err(self.named_twice(w.span, slot));
                }
                self.make_weight(slot, &path, Role::State)?;
                self.carried.push((path.clone(), self.weights[&path].tensor.clone()));
                self.carried.len() - 1
            }
        };
        let v = Val::tensor(self.carried[place].1.clone(), slot.span);
        let name = slot.name.text.clone();
        self.frame().vars.insert(name.clone(), v);
        self.frame().carried.push((name, place));
        Ok(())
    }

    /// A weight of one number.
    pub fn pretend_weight(&mut self, init: &Expr, span: Span) {
        let (path, shape) = ("weight".to_string(), vec![Extent::Fixed(1)]);
        let value = self.graph.input(path.as_str(), Role::Param, Type::f32(shape.clone()), span);
        let axes = vec![Axis::new(Extent::Fixed(1))];
        let tensor = Tensor { value, axes, kind: Kind::Real };
        let (role, init, vars, made) = (Role::Param, init.clone(), BTreeMap::new(), (0, span));
        let weight = Weight { path: path.clone(), tensor, shape, filter: false, role, init, vars, span, made };
        self.order.push(path.clone());
        self.weights.insert(path, weight);
    }

    /// What an operator leaves in its states.
    pub fn carry_on(&mut self, span: Span) -> Res<()> {
        for (name, place) in std::mem::take(&mut self.frame().carried) {
            let Some(next) = self.lookup(&name).cloned() else { continue };
            let axes = self.carried[place].1.axes.clone();
            let value = self.next_value(&next, &axes, span)?;
            self.carried[place].1.value = value;
        }
        Ok(())
    }

    /// Ends a training step with the states' next values.
    pub fn store_carried(&mut self) {
        for (path, tensor) in self.carried.clone() {
            let input = self.weights[&path].tensor.value;
            if input != tensor.value {
                self.graph.update(input, tensor.value);
            }
        }
    }

    fn named_twice(&self, first: Span, slot: &Slot) -> errors::Boxed {
        errors::duplicate(first, self.blame(slot.span), "the parameter or state", &slot.name.text)
    }

    /// A weight is found again by the layer that made it: another one must not share it by having the same name.
    fn same_origin(&self, w: &Weight, slot: &Slot) -> Res<()> {
        let origin = self.frames.last().map_or(0, |f| f.origin);
        match w.made {
            (other, _) if other != origin => Err(errors::weight_of_two(w.span, self.blame(slot.span), &w.path)),
            (_, at) if at != slot.name.span => Err(self.named_twice(at, slot)),
            _ => Ok(()),
        }
    }

    fn make_weight(&mut self, slot: &Slot, path: &str, role: Role) -> Res<()> {
        if let Some(place) = self.sealed {
            return Err(errors::weight_outside(self.blame(slot.span), place, &slot.name.text));
        }
        let Some(dims) = slot.ty.as_ref().and_then(|t| t.dims.as_ref()) else {
            let name = &slot.name.text;
            let form = format!("param {name}: [4] = 0");
            return Err(errors::lacks(self.blame(slot.span), name, "axes: a shape behind a `:`", &form));
        };
        let mut shape = Vec::new();
        for d in dims {
            shape.push(self.extent(d)?);
        }
        self.check_size(&shape, slot.span)?;
        let span = self.blame(slot.span);
        let ty = Type::f32(shape.clone());
        let value = self.graph.input(path, role, ty, span);
        let axes = shape.iter().map(|e| Axis::new(*e)).collect();
        let tensor = Tensor { value, axes, kind: Kind::Real };
        let Some(init) = slot.init.clone() else {
            let name = &slot.name.text;
            let form = format!("param {name}: {} = 0", shape_text(dims));
            return Err(errors::lacks(self.blame(slot.span), name, "a first value", &form));
        };
        let vars = self.frame().vars.clone();
        let filter = slot.ty.as_ref().is_some_and(|t| is_word(t, "filter"));
        let (path, made) = (path.to_string(), (self.frame().origin, slot.name.span));
        self.weights.insert(path.clone(), Weight { path, tensor, shape, filter, role, init, vars, span, made });
        Ok(())
    }
}
