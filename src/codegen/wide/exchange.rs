//! Transposing squares of vectors.
//!
//! In: n vectors of n lanes. Out: the columns of the square that they are the rows of. Invariant: elements move, none changes.

use super::inst::{Level, Op, Width};
use super::rows::{self, Row};
use super::select::{Operands, Selector};
use cranelift_codegen::ir::{self, Value};
use regalloc2::{RegClass, VReg};

/// Of each quarter: the lower, or the upper two elements of both inputs.
const LOW_PAIRS: u8 = 0x44;
const HIGH_PAIRS: u8 = 0xEE;
/// Of both inputs: the even, or the odd quarters.
const EVEN: u8 = 0x88;
const ODD: u8 = 0xDD;
/// Of both inputs: the lower, or the upper halves.
const LOW_HALVES: u8 = 0x20;
const HIGH_HALVES: u8 = 0x31;

impl Selector<'_> {
    pub fn transpose(&mut self, inst: ir::Inst) {
        let results = self.func.dfg.inst_results(inst).to_vec();
        if results.iter().all(|&r| self.asked(r).is_none()) {
            return;
        }
        let to: Vec<VReg> = results.iter().map(|&r| self.reg(r)).collect();
        let args: Vec<Value> = self.func.dfg.inst_args(inst).to_vec();
        let rows: Vec<VReg> = args.into_iter().map(|a| self.reg(a)).collect();
        let n = rows.len();
        // Within quarters: squares of 4 by 4.
        let mut pairs = Vec::with_capacity(n);
        for i in (0..n).step_by(2) {
            pairs.push(self.exchange(&rows::UNPACK_LOW, None, (rows[i], rows[i + 1]), None));
            pairs.push(self.exchange(&rows::UNPACK_HIGH, None, (rows[i], rows[i + 1]), None));
        }
        let mut fours = Vec::with_capacity(n);
        for i in (0..n).step_by(4) {
            for half in 0..2 {
                let both = (pairs[i + half], pairs[i + half + 2]);
                fours.push(self.exchange(&rows::SHUFFLE, Some(LOW_PAIRS), both, None));
                fours.push(self.exchange(&rows::SHUFFLE, Some(HIGH_PAIRS), both, None));
            }
        }
        // The quarters themselves: `fours[4 i + j]` has in quarter q what belongs into quarter i of column 4 q + j.
        for j in 0..4 {
            if self.level == Level::Avx2 {
                let both = (fours[j], fours[4 + j]);
                self.exchange(&rows::SHUFFLE_HALVES, Some(LOW_HALVES), both, Some(to[j]));
                self.exchange(&rows::SHUFFLE_HALVES, Some(HIGH_HALVES), both, Some(to[4 + j]));
                continue;
            }
            for (choice, first) in [(EVEN, j), (ODD, 4 + j)] {
                let lower = self.exchange(&rows::SHUFFLE_QUARTERS, Some(choice), (fours[j], fours[4 + j]), None);
                let upper = self.exchange(&rows::SHUFFLE_QUARTERS, Some(choice), (fours[8 + j], fours[12 + j]), None);
                self.exchange(&rows::SHUFFLE_QUARTERS, Some(EVEN), (lower, upper), Some(to[first]));
                self.exchange(&rows::SHUFFLE_QUARTERS, Some(ODD), (lower, upper), Some(to[first + 8]));
            }
        }
    }

    fn exchange(&mut self, row: &'static Row, imm: Option<u8>, (a, b): (VReg, VReg), to: Option<VReg>) -> VReg {
        let width = if self.level == Level::Avx512 { Width::Z } else { Width::Y };
        let to = to.unwrap_or_else(|| self.fresh(RegClass::Float));
        self.push(Op::Vector { row, width, imm }, Operands::result(to).read(a).read(b));
        to
    }
}
