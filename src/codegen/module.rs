//! A whole program to one native function.
//!
//! In: a verified program. Out: [`Compiled`]: its entry point and, on request, its text before and after the back end.
//! Invariant: the code allocates nothing and calls nothing outside but the barrier and the f64 scalars of the step.

use super::alike;
use super::analysis::Facts;
use super::context::Entry;
use super::function::{Code, Compiler};
use super::kernel;
use super::step;
use super::unit::{Linked, Unit, Workshop, refused};
use super::wide::Level;
use crate::base::both::each;
use crate::base::{DType, Diagnostic};
use crate::loops::ir::Program;
use cranelift_codegen::ir::Signature;
use cranelift_module::{FuncId, Linkage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// How much trouble the back end takes, and which texts are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep the instructions of Cranelift and of the machine (`--stage clif` and `asm`).
    pub text: bool,
    /// Share a kernel among threads from this much work on; `None`: where it pays.
    pub shared_work: Option<i64>,
    pub vectors: Vectors,
    /// Marks in the step function before and behind each kernel; no bit depends on them.
    pub watched: bool,
}

/// The vector registers that kernels are written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vectors {
    /// The widest of this machine.
    #[default]
    Native,
    /// 128 bits by Cranelift: what every machine has, and the yardstick for the others.
    Portable,
    /// 256 bits (AVX2).
    Avx2,
    /// 512 bits (AVX-512).
    Avx512,
}

impl Vectors {
    /// By the name that the command line uses.
    pub fn parse(name: &str) -> Result<Vectors, String> {
        let found = match name {
            "native" => Vectors::Native,
            "portable" => Vectors::Portable,
            "avx2" => Vectors::Avx2,
            "avx512" => Vectors::Avx512,
            _ => return Err("one of native, portable, avx2, avx512".to_string()),
        };
        if found == Vectors::Native || Vectors::available().contains(&found) {
            return Ok(found);
        }
        Err(format!("this machine has no `{name}` vectors"))
    }

    /// Those that this machine can run, the narrowest first.
    pub fn available() -> Vec<Vectors> {
        let mut out = vec![Vectors::Portable];
        if cfg!(target_os = "linux") && Level::Avx2.is_available() {
            out.push(Vectors::Avx2);
        }
        if cfg!(target_os = "linux") && Level::Avx512.is_available() {
            out.push(Vectors::Avx512);
        }
        out
    }

    /// The wide back end's level; `None` for Cranelift.
    fn level(self) -> Option<Level> {
        match self {
            Vectors::Native => Vectors::available().pop().and_then(Vectors::level),
            Vectors::Portable => None,
            Vectors::Avx2 => Some(Level::Avx2),
            Vectors::Avx512 => Some(Level::Avx512),
        }
    }
}

/// Native code. It stays mapped until the process ends, so that an entry point never dangles.
#[derive(Clone, Debug)]
pub struct Compiled {
    entry: Entry,
    clif: String,
    asm: String,
}

impl Compiled {
    /// The step function. Whoever calls it answers for the context: buffers of the program's sizes at the bound symbols
    /// (none above [`super::analysis::MAX_SYMBOL`]), and rows in range.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// The instructions before the back end; empty unless asked for.
    pub fn clif(&self) -> &str {
        &self.clif
    }

    /// The machine instructions; empty unless asked for.
    pub fn asm(&self) -> &str {
        &self.asm
    }
}

/// Kernels with less work (simple operations on an element) than this run on one thread: about 10 µs.
const SHARED_WORK: i64 = 1 << 17;
/// The code of kernels by all that it depends on, so that programs of one run compile what they have in common once.
#[derive(Default)]
pub struct Cache(Mutex<BTreeMap<(Vectors, String), Arc<Code>>>);

impl Cache {
    fn known(&self) -> MutexGuard<'_, BTreeMap<(Vectors, String), Arc<Code>>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The kernels that were compiled, but for those that name their unit.
    pub fn kernels(&self) -> usize {
        self.known().len()
    }
}

/// Compiles a program that [`crate::loops::verify`] has accepted.
///
/// Errors: E0901 where the machine lacks what is needed, E0804 where a kernel is too large for the back end.
pub fn compile(program: &Program, options: &Options) -> Result<Compiled, Diagnostic> {
    compile_with(program, options, &Cache::default())
}

/// [`compile`], where code that `cache` has is not made again.
pub fn compile_with(program: &Program, options: &Options, cache: &Cache) -> Result<Compiled, Diagnostic> {
    let mut unit = Unit::new(options.text)?;
    let texts = alike::texts(program);
    let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, text) in texts.iter().enumerate() {
        firsts.entry(text).or_insert(number);
    }
    let mut numbers: Vec<usize> = firsts.values().copied().collect();
    numbers.sort_unstable();
    let codes = codes(&mut unit, program, options, cache, (&texts, &numbers))?;
    let (mut kernels, mut tables, mut end) = (Vec::new(), Vec::new(), 0);
    for (number, kernel) in program.kernels.iter().enumerate() {
        let first = numbers.partition_point(|&n| n < firsts[texts[number].as_str()]);
        let (id, code) = &codes[first];
        if numbers[first] != number {
            unit.show(&named(program, number), code);
        }
        kernels.push(*id);
        tables.push(end);
        end += 1 + kernel::table(kernel).len();
    }
    let shared_work = options.shared_work.unwrap_or(SHARED_WORK);
    let step = step::Step { program, kernels: &kernels, tables: &tables, shared_work, watched: options.watched };
    let entry = step::write(&mut unit, &step)?;
    let Linked { entry, clif, asm } = unit.finish(entry)?;
    Ok(Compiled { entry, clif, asm })
}

/// The functions of these kernels, all of which differ, compiled on all cores and put into the unit.
fn codes(
    unit: &mut Unit,
    program: &Program,
    options: &Options,
    cache: &Cache,
    (texts, numbers): (&[String], &[usize]),
) -> Result<Vec<(FuncId, Arc<Code>)>, Diagnostic> {
    let signature = unit.signature(4, 0);
    let mut ids = Vec::new();
    for &number in numbers {
        ids.push(unit.declare(&named(program, number), &signature, Linkage::Local)?);
    }
    let workshop = unit.workshop();
    let make = |compiler: &mut Compiler, at: usize| {
        let key = (options.vectors, texts[numbers[at]].clone());
        let known = cache.known().get(&key).cloned();
        if let (Some(code), false) = (known, options.text) {
            return Ok(code);
        }
        let level = options.vectors.level();
        let code = Arc::new(kernel((&workshop, compiler), program, (numbers[at], ids[at]), signature.clone(), level)?);
        // Texts name the function, and what is linked its unit.
        if code.relocations.is_empty() && !options.text {
            cache.known().insert(key, code.clone());
        }
        Ok(code)
    };
    let made: Vec<Result<Arc<Code>, Diagnostic>> = each(numbers.len(), || workshop.compiler(), make);
    let mut out = Vec::new();
    for ((code, id), &number) in made.into_iter().zip(ids).zip(numbers) {
        let code = code?;
        unit.put(&named(program, number), id, &code)?;
        out.push((id, code));
    }
    Ok(out)
}

fn named(program: &Program, number: usize) -> String {
    format!("{number}.{}", program.kernels[number].name)
}

/// One kernel, at `level` or the next narrower one that it fits.
fn kernel(
    (workshop, compiler): (&Workshop, &mut Compiler),
    program: &Program,
    (number, id): (usize, FuncId),
    signature: Signature,
    level: Option<Level>,
) -> Result<Code, Diagnostic> {
    let (kernel, name) = (&program.kernels[number], named(program, number));
    let facts = Facts::new(program, kernel);
    if !facts.divisible(kernel) {
        return Err(refused(&name, "an index that it divides leaves 64 bits"));
    }
    // The few scalars of a step in f64 call a function, which the wide back end does not.
    let mut level = level.filter(|_| !facts.types.contains(&DType::F64));
    loop {
        let written = compiler.compile((&name, id), signature.clone(), level, &mut |b| {
            let wide = workshop.wide(b.func);
            kernel::write(b, program, kernel, &facts, (level.map_or(4, Level::lanes), wide));
        });
        // More lanes make more copies of a statement; what is too large then may fit with fewer.
        match (written, level) {
            (Err(_), Some(wider)) => level = wider.narrower(),
            (written, _) => return written,
        }
    }
}
