//! Speed, printed with `NNC_LONG=1`: figures are for people, no test depends on the machine.

use super::programs::product;
use nnc::base::Extent;
use nnc::codegen::{Options, compile};
use nnc::loops::ir::LoopKind;
use nnc::runtime::machine::{Machine, Store};
use std::io::Write;
use std::rc::Rc;
use std::time::Instant;

#[test]
fn a_contraction_of_64_784_512_shows_its_speed() {
    if std::env::var_os("NNC_LONG").is_none() {
        return;
    }
    let (m, k, n) = (64, 784, 512);
    let kinds = [LoopKind::Parallel { jam: 4 }, LoopKind::Vector { width: 8 }];
    let program = product(Extent::Sym(0), Extent::Fixed(k), Extent::Fixed(n), kinds);
    let start = Instant::now();
    let compiled = compile(&program, &Options::default()).unwrap();
    let compile_time = start.elapsed();
    let mut machine = Machine::new(compiled.entry(), Rc::new(program), &[m, k, n], 1, &mut Store::default()).unwrap();
    let mut best = f64::INFINITY;
    for _ in 0..50 {
        let start = Instant::now();
        machine.run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = (2 * m * k * n) as f64 / best / 1e9;
    writeln!(std::io::stderr(), "64 x 784 x 512: {rate:.1} GFLOP/s, compiled in {compile_time:?}").unwrap();
}
