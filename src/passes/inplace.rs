//! Where stored values live, and the order of the kernels.
//!
//! In: drafts of kernels. Out: a [`Fusion`]. Invariant: an input is overwritten only when no later kernel reads its old value,
//! and the kernel that overwrites it reads each element only at the place that it then writes.

use super::fuse::{Fusion, Group, Home};
use super::groups::{Drafts, Uses, Work};
use crate::graph::Graph;
use crate::ops::Value;
use std::collections::BTreeSet;

pub(super) fn arrange(graph: &Graph, drafts: &Drafts, uses: &[Uses]) -> Fusion {
    let mut arranger = Arranger {
        graph,
        uses,
        drafts: drafts.clone(),
        stored: drafts.owner.iter().map(|o| o.map(|_| Home::Arena)).collect(),
        also: vec![vec![]; drafts.list.len()],
        before: vec![],
        after: vec![],
    };
    for number in 0..graph.outputs.len() {
        arranger.output(number);
    }
    let order = arranger.order();
    let compute = order.into_iter().map(|g| {
        let draft = &arranger.drafts.list[g];
        match draft.work {
            Work::Repeat(body) => Group::Repeat { body },
            Work::Begin(body, carry) => {
                let loops = graph.first_scans();
                let first = loops[body].map(|first| graph.node(first).args[carry]);
                let value = first.unwrap_or_else(|| panic!("invariant broken: a loop that begins has nodes"));
                Group::Copy { value, to: Home::Carried(body, carry) }
            }
            Work::Compute => {
                let mut roots = draft.roots.clone();
                roots.sort();
                Group::Compute { space: draft.space.clone(), roots, also: arranger.also[g].clone() }
            }
        }
    });
    let kernels = arranger.before.into_iter().chain(compute).chain(arranger.after).collect();
    Fusion { stored: arranger.stored, kernels, bodies: vec![] }
}

struct Arranger<'a> {
    graph: &'a Graph,
    uses: &'a [Uses],
    drafts: Drafts,
    stored: Vec<Option<Home>>,
    /// Per group, outputs that take a value which it stores elsewhere.
    also: Vec<Vec<(Value, Home)>>,
    before: Vec<Group>,
    after: Vec<Group>,
}

impl Arranger<'_> {
    fn output(&mut self, number: usize) {
        let output = &self.graph.outputs[number];
        let (value, v) = (output.value, output.value.0 as usize);
        let to = output.target.map_or(Home::Output(number), Home::Input);
        if let Some(source) = self.graph.inputs.iter().position(|i| i.value == value) {
            self.output_of_input(value, source, to);
        } else if self.stored[v] == Some(Home::Arena) && self.take(value, to) {
            self.stored[v] = Some(to);
        } else if let (Home::Output(_), Some(owner)) = (to, self.computed(value)) {
            self.also[owner].push((value, to));
        } else {
            self.after.push(Group::Copy { value, to });
        }
    }

    /// An input that goes out as it came in is read before anything overwrites it.
    fn output_of_input(&mut self, value: Value, source: usize, to: Home) {
        let overwritten = self.graph.outputs.iter().any(|o| o.target == Some(source) && o.value != value);
        match to {
            Home::Input(target) if target == source => {}
            Home::Input(_) if overwritten => {
                let aside = Group::Copy { value, to: Home::Arena };
                if !self.before.contains(&aside) {
                    self.before.push(aside);
                }
                self.after.push(Group::Copy { value, to });
            }
            Home::Input(_) => self.after.push(Group::Copy { value, to }),
            _ => self.before.push(Group::Copy { value, to }),
        }
    }

    /// The kernel that computes and stores `value`.
    fn computed(&self, value: Value) -> Option<usize> {
        self.drafts.owner[value.0 as usize].filter(|&owner| self.drafts.list[owner].work == Work::Compute)
    }

    /// Whether `value` can be stored there by its kernel.
    fn take(&mut self, value: Value, to: Home) -> bool {
        let Home::Input(target) = to else { return true };
        if self.computed(value).is_none() {
            return false;
        }
        let old = self.graph.inputs[target].value;
        let Some(owner) = self.drafts.owner[value.0 as usize] else { return false };
        let readers: Vec<usize> = self.uses[old.0 as usize].groups().filter(|&g| g != owner).collect();
        let same_place = self.uses[old.0 as usize].direct(owner);
        let copied_last = self.after.iter().any(|g| matches!(g, Group::Copy { value, .. } if *value == old));
        let cycle = readers.iter().any(|&r| self.drafts.reaches_any(r, [owner].into_iter()));
        if !same_place || copied_last || cycle || self.graph.node(old).ty != self.graph.node(value).ty {
            return false;
        }
        self.drafts.list[owner].after.extend(readers);
        true
    }

    /// Every group behind those it needs; among those that can run, first what takes no new memory, then as in the graph.
    fn order(&self) -> Vec<usize> {
        let list = &self.drafts.list;
        let first = self.graph.first_scans();
        let rank = |g: usize| {
            if let Work::Begin(body, _) = list[g].work {
                return (true, first[body], g);
            }
            let allocates = list[g].roots.iter().any(|v| self.stored[v.0 as usize] == Some(Home::Arena));
            (allocates, list[g].roots.iter().max().copied(), g)
        };
        let mut waiting: Vec<BTreeSet<usize>> = list.iter().map(|d| d.after.clone()).collect();
        let mut ready: BTreeSet<_> = (0..list.len()).filter(|&g| waiting[g].is_empty()).map(rank).collect();
        let mut order = vec![];
        while let Some((_, _, group)) = ready.pop_first() {
            order.push(group);
            for (other, needs) in waiting.iter_mut().enumerate() {
                if needs.remove(&group) && needs.is_empty() {
                    ready.insert(rank(other));
                }
            }
        }
        assert!(order.len() == list.len(), "invariant broken: kernels do not wait for each other in a circle");
        order
    }
}
