//! Every operator of the table as machine code, on its examples and on schedules by chance.

use super::run::{Dice, fill, reschedule, same_on};
use nnc::base::Span;
use nnc::graph::builder::Builder;
use nnc::graph::{Graph, Role};
use nnc::loops::ir::Program;
use nnc::loops::lower;
use nnc::ops::{self, Example};
use nnc::passes::fuse::{Options, fuse_with};

const BATCH: u64 = 3;

fn graph_of(op: &str, example: &Example) -> Graph {
    let mut b = Builder::new(op, &["B"]);
    let mut args = vec![];
    for (i, ty) in example.args.iter().enumerate() {
        args.push(b.input(format!("x{i}"), Role::Data, ty.clone(), Span::default()));
    }
    let out = b.try_emit(op, example.attrs.clone(), &args, Span::default()).unwrap();
    b.output("out", out, None);
    b.finish()
}

fn programs(graph: &Graph) -> Vec<Program> {
    [false, true].map(|store_everything| lower::lower(graph, &fuse_with(graph, Options { store_everything }))).to_vec()
}

#[test]
fn the_machine_code_of_every_operator_has_the_bits_of_the_interpreter() {
    let mut dice = Dice(8);
    for op in ops::table() {
        for example in op.examples() {
            for program in programs(&graph_of(op.name(), &example)) {
                let program = reschedule(&program, &mut dice);
                let inputs = fill(&program, &[BATCH], &mut dice, 3, false);
                let threads = [1, dice.pick(&[2, 3])];
                same_on(&program, &inputs, &[BATCH], &threads);
            }
        }
    }
}
