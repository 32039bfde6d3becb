//! Random nests of loops, as no compiler would make them: every kind of loop around every kind of access.
//!
//! In: seeds. Out: machine code for every kind of vector registers beside the interpreter.
//! Invariant: addresses stay in bounds by construction: rows are below [`ROWS`], offsets below [`OFFSET`], extents below
//! [`EXTENT`], and tables have the sum of all. What an iteration stores, no other of an independent loop reads or writes.

use super::run::{Dice, buffer, fixed, same_on};
use nnc::base::{DType, Extent};
use nnc::loops::eval;
use nnc::loops::ir::*;
use nnc::ops::{ReduceKind, ScalarOp};

/// Around every number of lanes, and none at all.
const SIZES: [u64; 12] = [0, 1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33];
const EXTENT: u64 = 34;
const ROWS: u64 = 8;
const OFFSET: u64 = 6;
const TABLE: u64 = 2 * EXTENT + ROWS + OFFSET;
const TYPES: [DType; 3] = [DType::F32, DType::I32, DType::Bool];
/// The buffers that every program has: real numbers, whole numbers of every size, and row numbers.
const REAL: BufferId = BufferId(0);
const WHOLE: BufferId = BufferId(1);
const ROW: BufferId = BufferId(2);

const REALS: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-41,
    -1e-45,
    2147483648.0,
    -2147483648.0,
    2147483520.0,
    -2147483904.0,
    16777217.0,
    88.7,
    -103.9,
    2.75,
    1e9,
    -7e30,
];
const WHOLES: [i32; 10] = [0, 1, -1, 2, 7, i32::MAX, i32::MIN, i32::MIN + 1, 1 << 24, -(1 << 30)];

/// A loop that is open, and whether the index of what is stored inside it must name it.
struct Open {
    var: Var,
    extent: Extent,
    independent: bool,
    kind: LoopKind,
}

struct Nest<'d> {
    dice: &'d mut Dice,
    insts: Vec<Inst>,
    types: Vec<DType>,
    vars: u32,
    blocks: Vec<Vec<Stmt>>,
    open: Vec<Open>,
    /// The values that can be seen, and those of them that are row numbers.
    seen: Vec<Val>,
    rows: Vec<Val>,
    buffers: Vec<Buffer>,
    /// What was stored by the open iterations, at which indices.
    stored: Vec<(BufferId, Vec<Affine>)>,
    symbols: Vec<u64>,
}

impl Nest<'_> {
    fn chance(&mut self, percent: usize) -> bool {
        self.dice.below(100) < percent
    }

    fn make(&mut self, inst: Inst, dtype: DType) -> Val {
        let val = self.carried(inst, dtype);
        if let Some(block) = self.blocks.last_mut() {
            block.push(Stmt::Let(val));
        }
        self.seen.push(val);
        val
    }

    /// A value that a loop defines.
    fn carried(&mut self, inst: Inst, dtype: DType) -> Val {
        let val = Val(self.insts.len() as u32);
        self.insts.push(inst);
        self.types.push(dtype);
        val
    }

    fn scalar(&mut self, op: ScalarOp, args: &[Val]) -> Val {
        let types: Vec<DType> = args.iter().map(|a| self.types[a.0 as usize]).collect();
        let dtype = op.result(&types).unwrap_or_else(|| panic!("{op:?} of {types:?}"));
        self.make(Inst::Scalar { op, args: args.to_vec() }, dtype)
    }

    fn constant(&mut self, dtype: DType) -> Val {
        let value = match dtype {
            DType::F32 => f64::from(self.dice.pick(&REALS)),
            DType::I32 => f64::from(self.dice.pick(&WHOLES)),
            _ => self.dice.below(2) as f64,
        };
        self.make(Inst::Const { value, dtype }, dtype)
    }

    /// A value of this type, mostly one of the latest.
    fn any(&mut self, dtype: DType) -> Val {
        let fit: Vec<Val> = self.seen.iter().copied().filter(|v| self.types[v.0 as usize] == dtype).collect();
        match (fit.len(), self.dice.below(10)) {
            (0, _) | (_, 0) => self.constant(dtype),
            (n, 1..4) => fit[self.dice.below(n)],
            (n, _) => fit[n - 1 - self.dice.below(n.min(4))],
        }
    }

    fn operation(&mut self) -> Val {
        use ScalarOp::*;
        loop {
            let op = self.dice.pick(&ScalarOp::ALL);
            let long = matches!(op, Sin | Cos | Pow | Tanh | Erf | Exp | Log);
            let types: Vec<DType> = match (op, self.dice.pick(&TYPES)) {
                (Select, t) => vec![DType::Bool, t, t],
                (_, t) => vec![t; op.arity()],
            };
            if op.result(&types).is_some() && (!long || self.chance(15)) {
                let args: Vec<Val> = types.iter().map(|&t| self.any(t)).collect();
                return self.scalar(op, &args);
            }
        }
    }

    /// An index of a table: up to two loops, a row number, an offset.
    fn place(&mut self) -> Affine {
        let mut index = Affine { terms: vec![], constant: self.dice.below(OFFSET as usize) as i64 };
        if !self.open.is_empty() {
            let first = self.dice.below(self.open.len());
            index.terms.push((1, Term::Var(self.open[first].var)));
            let second = self.dice.below(self.open.len());
            if second != first && self.chance(15) {
                index.terms.push((1, Term::Var(self.open[second].var)));
            }
        }
        if !self.rows.is_empty() && self.chance(25) {
            let row = self.dice.below(self.rows.len());
            index.terms.push((1, Term::Val(self.rows[row])));
        }
        index
    }

    /// An index that may be anywhere, beyond 32 bits too.
    fn far(&mut self) -> Affine {
        let mut index = self.place();
        let factor = self.dice.pick(&[1, 1, 2, 3, -1, -5, 1 << 27, (1 << 31) - 1, -(1 << 30)]);
        index.terms.iter_mut().for_each(|t| t.0 *= factor);
        index.constant += self.dice.pick(&[0, 0, -3, -20, i64::from(i32::MAX), -(1 << 31), -(1 << 32)]);
        index
    }

    fn in_range(&mut self, index: &Affine, extent: Extent) -> Val {
        self.make(Inst::InRange { index: index.clone(), extent }, DType::Bool)
    }

    fn numbers(&mut self) -> Val {
        let index = self.far();
        let by = self.dice.pick(&[1, 2, 3, 5, 7, 8, 16, 1000, (1 << 31) + 1]);
        match self.dice.below(4) {
            0 => self.make(Inst::Index(index), DType::I32),
            1 => self.make(Inst::Div { index, by }, DType::I32),
            2 => {
                let rest = self.make(Inst::Rem { index, by }, DType::I32);
                if by <= ROWS {
                    self.rows.push(rest);
                }
                rest
            }
            _ => {
                let extents = [1, 8, 33, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, 1 << 40];
                let extent = if self.chance(20) { Extent::Sym(0) } else { Extent::Fixed(self.dice.pick(&extents)) };
                self.in_range(&index, extent)
            }
        }
    }

    fn load(&mut self) -> Val {
        if !self.stored.is_empty() && self.chance(25) {
            let (buffer, at) = self.stored[self.dice.below(self.stored.len())].clone();
            let dtype = self.buffers[buffer.0 as usize].dtype;
            return self.make(Inst::Load { buffer, at, mask: None }, dtype);
        }
        let (buffer, dtype) =
            self.dice.pick(&[(REAL, DType::F32), (REAL, DType::F32), (WHOLE, DType::I32), (ROW, DType::I32)]);
        let mut at = vec![self.place(), self.place()];
        if let [.., outer, inner] = self.open.as_slice()
            && self.dice.below(5) == 0
        {
            // A square that is read across: its rows are those of the inner loop.
            let rows = at[0].terms.iter().copied().filter(|(_, t)| matches!(t, Term::Val(_)));
            at[0].terms = rows.chain([(1, Term::Var(inner.var))]).collect();
            at[1] = Affine::term(Term::Var(outer.var));
        }
        let mut mask = None;
        if self.chance(25) {
            let axis = self.dice.below(2);
            at[axis].constant -= self.dice.pick(&[1, 3, 40]);
            let inside = self.in_range(&at[axis].clone(), Extent::Fixed(TABLE));
            let other = self.any(DType::Bool);
            mask = Some(if self.chance(50) { inside } else { self.scalar(ScalarOp::And, &[inside, other]) });
        }
        let unmasked = mask.is_none();
        let val = self.make(Inst::Load { buffer, at, mask }, dtype);
        if buffer == ROW && unmasked {
            self.rows.push(val);
        }
        val
    }

    /// `least` statements, or some more.
    fn statements(&mut self, least: usize, more: usize) {
        for _ in 0..least + self.dice.below(more) {
            match self.dice.below(20) {
                0..6 => self.load(),
                6..8 => self.numbers(),
                _ => self.operation(),
            };
        }
    }

    /// Stores a value where only the open iterations of independent loops do: into a new buffer, or into one of theirs again.
    fn store(&mut self) {
        let dtype = self.dice.pick(&[DType::F32, DType::F32, DType::I32]);
        let value = self.any(dtype);
        let again: Vec<_> = self
            .stored
            .iter()
            .filter(|(b, _)| self.buffers[b.0 as usize].dtype == dtype)
            .filter(|(_, at)| self.open.iter().all(|o| !o.independent || at.contains(&Affine::term(Term::Var(o.var)))))
            .cloned()
            .collect();
        let (buffer, at) = match again.len() {
            n if n > 0 && self.chance(40) => again[self.dice.below(n)].clone(),
            _ => self.target(dtype),
        };
        if let Some(block) = self.blocks.last_mut() {
            block.push(Stmt::Store { buffer, at: at.clone(), value });
        }
        self.stored.push((buffer, at));
    }

    /// A new buffer with an axis for each open loop, in any order.
    fn target(&mut self, dtype: DType) -> (BufferId, Vec<Affine>) {
        let mut axes: Vec<(Var, Extent)> =
            self.open.iter().filter(|o| o.independent).map(|o| (o.var, o.extent)).collect();
        if axes.len() > 1 && self.chance(40) {
            let last = axes.len() - 1;
            axes.swap(0, last);
        }
        let number = self.buffers.len();
        let shape = axes.iter().map(|a| a.1).collect();
        self.buffers.push(buffer(&format!("out{number}"), dtype, shape));
        (BufferId(number as u32), axes.into_iter().map(|(v, _)| Affine::term(Term::Var(v))).collect())
    }

    fn extent(&mut self) -> Extent {
        let n = self.dice.pick(&SIZES);
        if self.chance(40) {
            self.symbols.push(n);
            return Extent::Sym(self.symbols.len() as u32 - 1);
        }
        Extent::Fixed(n.max(1))
    }

    fn enter(&mut self, kind: LoopKind) {
        let (var, extent) = (Var(self.vars), self.extent());
        self.vars += 1;
        self.blocks.push(vec![]);
        let independent = matches!(kind, LoopKind::Parallel { .. } | LoopKind::Vector { .. });
        self.open.push(Open { var, extent, independent, kind });
    }

    /// One loop of a nest at most is a large jam: several make more instructions than a function may have.
    fn kind(&mut self) -> LoopKind {
        let jammed = self.open.iter().any(|o| matches!(o.kind, LoopKind::Parallel { jam } if jam > 1));
        match self.dice.below(5) {
            0 => LoopKind::Parallel { jam: 1 },
            1 if jammed => LoopKind::Parallel { jam: 2 },
            1 => LoopKind::Parallel { jam: self.dice.pick(&[2, 3, 6, 8, 16]) },
            _ => LoopKind::Vector { width: self.dice.pick(&[4, 8, 12, 16, 32]) },
        }
    }

    fn leave(&mut self, carries: Vec<Carry>, (seen, rows, stored): (usize, usize, usize)) {
        let (Some(body), Some(open)) = (self.blocks.pop(), self.open.pop()) else { panic!("no loop is open") };
        self.seen.truncate(seen);
        self.rows.truncate(rows);
        self.stored.truncate(stored);
        if let Some(block) = self.blocks.last_mut() {
            block.push(Stmt::Loop(Loop { var: open.var, extent: open.extent, kind: open.kind, carries, body }));
        }
    }

    fn marks(&self) -> (usize, usize, usize) {
        (self.seen.len(), self.rows.len(), self.stored.len())
    }

    fn independent(&mut self, depth: usize) {
        let (marks, kind) = (self.marks(), self.kind());
        self.enter(kind);
        self.statements(0, 6);
        if depth > 1 {
            for _ in 0..1 + self.dice.below(4) / 3 {
                self.repeat(depth - 1);
            }
            if self.chance(30) {
                self.statements(3, 1);
                self.store();
            }
        } else {
            for _ in 0..1 + self.dice.below(3) {
                self.statements(3, 6);
                self.store();
            }
        }
        self.leave(vec![], marks);
    }

    /// A loop that carries one or two values; in lanes, if they are real and start at the neutral element.
    fn reduction(&mut self, depth: usize) {
        let lanes = self.chance(50);
        let count = 1 + self.dice.below(2);
        let joins = [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min];
        let mut carries: Vec<Carry> = vec![];
        let mut inits = vec![];
        for _ in 0..count {
            let join = self.dice.pick(&joins);
            let dtype = if lanes { DType::F32 } else { self.dice.pick(&TYPES) };
            let neutral = [0.0, f64::NEG_INFINITY, f64::INFINITY][joins.iter().position(|j| *j == join).unwrap_or(0)];
            let start = Inst::Const { value: neutral, dtype: DType::F32 };
            inits.push((join, dtype, if lanes { self.make(start, DType::F32) } else { self.any(dtype) }));
        }
        let marks = self.marks();
        self.enter(if lanes { LoopKind::Lanes } else { LoopKind::Serial });
        for (join, dtype, init) in inits {
            let current = self.carried(Inst::Current, dtype);
            self.seen.push(current);
            carries.push(Carry { result: init, init, current, next: init, join });
        }
        self.statements(2, 5);
        if depth > 1 && self.chance(30) {
            self.repeat(depth - 1);
        }
        for carry in &mut carries {
            let dtype = self.types[carry.init.0 as usize];
            let other = self.any(dtype);
            let op = match dtype {
                DType::Bool => self.dice.pick(&[ScalarOp::And, ScalarOp::Or]),
                _ => self.dice.pick(&[ScalarOp::Add, ScalarOp::Max, ScalarOp::Min, ScalarOp::Mul]),
            };
            carry.next = self.scalar(op, &[carry.current, other]);
        }
        for carry in &mut carries {
            carry.result = self.carried(Inst::Result, self.types[carry.init.0 as usize]);
        }
        let results: Vec<Val> = carries.iter().map(|c| c.result).collect();
        self.leave(carries, marks);
        self.seen.extend(results);
    }

    fn repeat(&mut self, depth: usize) {
        if self.chance(30) {
            self.reduction(depth)
        } else {
            self.independent(depth)
        }
        if self.chance(20) {
            self.statements(2, 1);
        }
    }
}

/// A program and the numbers behind its symbols.
fn nest(dice: &mut Dice) -> (Program, Vec<u64>) {
    let table = fixed(&[TABLE, TABLE]);
    let kinds = [("real", DType::F32), ("whole", DType::I32), ("row", DType::I32)];
    let symbols = vec![dice.pick(&SIZES)];
    let buffers = kinds.map(|(name, dtype)| buffer(name, dtype, table.clone())).to_vec();
    let mut nest = Nest {
        dice,
        insts: vec![],
        types: vec![],
        vars: 0,
        blocks: vec![vec![]],
        open: vec![],
        seen: vec![],
        rows: vec![],
        buffers,
        stored: vec![],
        symbols,
    };
    nest.statements(2, 1);
    let depth = 1 + nest.dice.below(3);
    nest.independent(depth);
    let body = nest.blocks.pop().unwrap_or_default();
    let kernel = Kernel { name: "nest".into(), insts: nest.insts, vars: nest.vars, body, ..Kernel::default() };
    let symbols = (0..nest.symbols.len()).map(|s| format!("N{s}")).collect();
    (
        Program { name: "nest".into(), symbols, buffers: nest.buffers, kernels: vec![kernel], ..Program::default() },
        nest.symbols,
    )
}

fn inputs(program: &Program, symbols: &[u64], dice: &mut Dice) -> Vec<Vec<u32>> {
    let mut buffers = eval::empty_buffers(program, symbols).unwrap();
    for (number, words) in buffers.iter_mut().enumerate() {
        for word in words {
            *word = match (BufferId(number as u32), dice.below(3)) {
                (ROW, _) => dice.below(ROWS as usize) as u32,
                (WHOLE, 0) => dice.pick(&WHOLES) as u32,
                (WHOLE, _) => dice.word() << 1 ^ dice.word(),
                (REAL, 0) => dice.pick(&REALS).to_bits(),
                _ => dice.float().to_bits(),
            };
        }
    }
    buffers
}

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("NNC_LONG").is_some() { 10_000 } else { 40 }
}

#[test]
fn the_machine_code_of_random_nests_has_the_bits_of_the_interpreter() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let (program, symbols) = nest(&mut dice);
        let inputs = inputs(&program, &symbols, &mut dice);
        let threads = [1, dice.pick(&[2, 3, 7])];
        same_on(&program, &inputs, &symbols, &threads);
    }
}
