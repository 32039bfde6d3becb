//! Splits off the kernels that only rearrange weights: inference runs them once.
//!
//! In: a program and the outside buffers that stay the same from run to run. Out: a program that fills the packed copies, and the
//! rest, which reads them. Invariant: both programs name a packed copy alike, so that they share it as a tensor from outside;
//! the rest computes the bits that the whole program did.

use super::ir::*;
use super::plan::set_lifetimes;

/// The kernels that read nothing but `constant` buffers and copies of them, as a program of their own.
pub fn split(program: &Program, constant: &dyn Fn(&Buffer) -> bool) -> (Program, Program) {
    let outside = |b: &Buffer| b.home == Home::Outside;
    let mut known: Vec<bool> = program.buffers.iter().map(|b| outside(b) && constant(b)).collect();
    let (mut first, mut rest) = (program.clone(), program.clone());
    first.kernels.clear();
    first.repeats.clear();
    rest.kernels.clear();
    // A buffer that several kernels write is none of these: zeros under a sum are made anew at every run.
    let mut writers = vec![0; program.buffers.len()];
    program.kernels.iter().for_each(|k| accesses(k).1.iter().for_each(|b| writers[b.0 as usize] += 1));
    let mut moved = vec![];
    for kernel in &program.kernels {
        let (loads, stores) = accesses(kernel);
        let fixed = |b: &BufferId| program.buffers[b.0 as usize].shape.iter().all(|e| e.fixed().is_some());
        let once = |b: &BufferId| writers[b.0 as usize] == 1;
        let private = stores.iter().all(|b| !outside(&program.buffers[b.0 as usize]) && fixed(b) && once(b));
        let private = private && kernel.steps.is_empty();
        if private && loads.iter().all(|b| known[b.0 as usize]) {
            stores.iter().for_each(|b| known[b.0 as usize] = true);
            first.kernels.push(kernel.clone());
            moved.push(true);
        } else {
            moved.push(false);
            rest.kernels.push(kernel.clone());
        }
    }
    for repeat in &mut rest.repeats {
        let stay = |to: u32| moved[..to as usize].iter().filter(|m| !**m).count() as u32;
        repeat.kernels = stay(repeat.kernels.start)..stay(repeat.kernels.end);
    }
    for (i, known) in known.into_iter().enumerate() {
        if known {
            first.buffers[i].home = Home::Outside;
            rest.buffers[i].home = Home::Outside;
        }
    }
    set_lifetimes(&mut first);
    set_lifetimes(&mut rest);
    (first, rest)
}

/// The buffers that a kernel reads, and those that it writes.
fn accesses(kernel: &Kernel) -> (Vec<BufferId>, Vec<BufferId>) {
    let loads = kernel.insts.iter().filter_map(|inst| match inst {
        Inst::Load { buffer, .. } => Some(*buffer),
        _ => None,
    });
    let mut stores = Vec::new();
    let mut blocks: Vec<&[Stmt]> = vec![&kernel.body];
    while let Some(block) = blocks.pop() {
        for stmt in block {
            match stmt {
                Stmt::Store { buffer, .. } => stores.push(*buffer),
                Stmt::Loop(inner) => blocks.push(&inner.body),
                Stmt::Let(_) => {}
            }
        }
    }
    (loads.collect(), stores)
}
