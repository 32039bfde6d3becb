//! The kernels while they are being chosen: who uses what, and who must run before whom.
//!
//! In: the choices of `fuse`. Out: drafts of kernels. Invariant: the `after` relation has no cycle.

use crate::base::Shape;
use crate::ops::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a group does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// Stores its roots.
    #[default]
    Compute,
    /// Stores the first value of what a loop carries: body, number of the carried value.
    Begin(usize, usize),
    /// Runs the steps of a body; its roots are the results.
    Repeat(usize),
}

/// One kernel to be, or a loop.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub work: Work,
    pub space: Shape,
    pub roots: Vec<Value>,
    /// The groups whose stored values this one loads.
    pub after: BTreeSet<usize>,
    /// Whether it computes a contraction.
    pub dot: bool,
    /// Whether it computes reductions of whole rows of its space.
    pub rows: bool,
}

impl Draft {
    pub fn new(space: Shape) -> Draft {
        Draft { space, ..Draft::default() }
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    pub list: Vec<Draft>,
    /// Per value: the group that stores it.
    pub owner: Vec<Option<usize>>,
}

impl Drafts {
    pub fn new(values: usize) -> Drafts {
        Drafts { list: vec![], owner: vec![None; values] }
    }

    pub fn add(&mut self, draft: Draft) -> usize {
        self.list.push(draft);
        self.list.len() - 1
    }

    /// Whether `from` runs after one of `targets`.
    pub fn reaches_any(&self, from: usize, targets: impl Iterator<Item = usize>) -> bool {
        let mut wanted = vec![false; self.list.len()];
        targets.for_each(|t| wanted[t] = true);
        let (mut seen, mut stack) = (vec![false; self.list.len()], vec![from]);
        while let Some(group) = stack.pop() {
            if wanted[group] {
                return true;
            }
            for &next in &self.list[group].after {
                if !std::mem::replace(&mut seen[next], true) {
                    stack.push(next);
                }
            }
        }
        false
    }
}

/// How groups evaluate one value: per group and class of indices, how often.
#[derive(Clone, Debug, Default)]
pub struct Uses(BTreeMap<(usize, u32), f64>);

impl Uses {
    /// Once per element in `group`.
    pub fn one(group: usize, elements: f64) -> Uses {
        Uses([((group, 0), elements)].into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = ((usize, u32), f64)> + use<'_> {
        self.0.iter().map(|(&key, &times)| (key, times))
    }

    /// Evaluations at equal indices count once.
    pub fn add(&mut self, group: usize, class: u32, times: f64) {
        let known = self.0.entry((group, class)).or_insert(0.0);
        *known = known.max(times);
    }

    pub fn groups(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let mut groups: Vec<usize> = self.0.keys().map(|&(g, _)| g).collect();
        groups.dedup();
        groups.into_iter()
    }

    pub fn only_group(&self) -> Option<usize> {
        let mut groups = self.groups();
        groups.next().filter(|_| groups.next().is_none())
    }

    /// Whether `group` evaluates the value only at its own index.
    pub fn direct(&self, group: usize) -> bool {
        self.0.range((group, 0)..=(group, u32::MAX)).all(|(&(_, class), _)| class == 0)
    }

    pub fn evaluations(&self) -> f64 {
        self.0.values().sum()
    }

    pub fn evaluations_in(&self, group: usize) -> f64 {
        self.0.range((group, 0)..=(group, u32::MAX)).map(|(_, times)| times).sum()
    }
}
