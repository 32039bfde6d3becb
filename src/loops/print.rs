//! The text of a program.
//!
//! In: a program. Out: text that [`super::parse::parse`] reads back exactly. Invariant: equal programs have equal texts.

use super::ir::*;
use super::tree::Part;
use crate::base::shape::display_shape;
use crate::base::{Extent, Shape};
use crate::ops::ReduceKind;
use std::fmt::{self, Write};

pub fn print(program: &Program) -> String {
    let mut out = String::new();
    let mut printer = Printer { program, out: &mut out };
    match printer.program() {
        Ok(()) => out,
        Err(fmt::Error) => panic!("invariant broken: writing to a string does not fail"),
    }
}

pub fn reduce_name(kind: ReduceKind) -> &'static str {
    match kind {
        ReduceKind::Sum => "sum",
        ReduceKind::Max => "max",
        ReduceKind::Min => "min",
        ReduceKind::Dot => "dot",
    }
}

/// Whether a name stands without quotes.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.'-/".contains(c))
}

fn quoted(name: &str) -> String {
    if plain(name) { name.to_string() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}

struct Printer<'a> {
    program: &'a Program,
    out: &'a mut String,
}

impl Printer<'_> {
    fn program(&mut self) -> fmt::Result {
        let symbols: Vec<String> = self.program.symbols.iter().map(|s| quoted(s)).collect();
        writeln!(self.out, "program {}({})", quoted(&self.program.name), symbols.join(", "))?;
        for buffer in &self.program.buffers {
            let shape: &Shape = &buffer.shape;
            let shape = display_shape(shape, &self.program.symbols);
            write!(self.out, "buffer @{} {}[{shape}] ", quoted(&buffer.name), buffer.dtype)?;
            match buffer.home {
                Home::Outside => writeln!(self.out, "outside")?,
                Home::Arena { first, last } => writeln!(self.out, "arena {first} {last}")?,
            }
        }
        self.parts(&self.program.tree(), 0)
    }

    /// Kernels, and repeats around them.
    fn parts(&mut self, parts: &[Part], depth: usize) -> fmt::Result {
        let margin = "  ".repeat(depth);
        for part in parts {
            match part {
                Part::Repeat(number, inner) => {
                    let repeat = &self.program.repeats[*number];
                    let way = if repeat.reverse { "backward" } else { "forward" };
                    let extent = self.extent(repeat.extent);
                    writeln!(self.out, "\n{margin}steps {number} < {extent} {way} {{")?;
                    self.parts(inner, depth + 1)?;
                    writeln!(self.out, "{margin}}}")?;
                }
                Part::Kernel(number) => {
                    let kernel = &self.program.kernels[*number];
                    write!(self.out, "\n{margin}kernel {} ", quoted(&kernel.name))?;
                    for step in &kernel.steps {
                        write!(self.out, "step i{} = {} ", step.var.0, step.repeat)?;
                    }
                    writeln!(self.out, "{{")?;
                    self.block(kernel, &kernel.body, depth + 1)?;
                    writeln!(self.out, "{margin}}}")?;
                }
            }
        }
        Ok(())
    }

    fn extent(&self, extent: Extent) -> String {
        display_shape(&[extent], &self.program.symbols)
    }

    fn block(&mut self, kernel: &Kernel, body: &[Stmt], depth: usize) -> fmt::Result {
        let margin = "  ".repeat(depth);
        for stmt in body {
            match stmt {
                Stmt::Let(val) => {
                    let inst = self.inst(&kernel.insts[val.0 as usize]);
                    writeln!(self.out, "{margin}%{} = {inst}", val.0)?;
                }
                Stmt::Store { buffer, at, value } => {
                    let place = self.place(*buffer, at);
                    writeln!(self.out, "{margin}store {place} = %{}", value.0)?;
                }
                Stmt::Loop(inner) => {
                    let head = self.head(inner);
                    writeln!(self.out, "{margin}{head} {{")?;
                    self.block(kernel, &inner.body, depth + 1)?;
                    writeln!(self.out, "{margin}}}")?;
                }
            }
        }
        Ok(())
    }

    fn head(&self, inner: &Loop) -> String {
        let kind = match inner.kind {
            LoopKind::Serial => "serial".to_string(),
            LoopKind::Parallel { jam: 1 } => "parallel".to_string(),
            LoopKind::Parallel { jam } => format!("parallel({jam})"),
            LoopKind::Vector { width } => format!("vector({width})"),
            LoopKind::Lanes => "lanes".to_string(),
        };
        let mut head = format!("{kind} i{} < {}", inner.var.0, self.extent(inner.extent));
        for c in &inner.carries {
            let join = reduce_name(c.join);
            head += &format!(" carry %{} = {join} %{} as %{} to %{}", c.result.0, c.init.0, c.current.0, c.next.0);
        }
        head
    }

    fn place(&self, buffer: BufferId, at: &[Affine]) -> String {
        let at: Vec<String> = at.iter().map(affine).collect();
        format!("@{}[{}]", quoted(&self.program.buffers[buffer.0 as usize].name), at.join(", "))
    }

    fn inst(&self, inst: &Inst) -> String {
        match inst {
            Inst::Const { value, dtype } => format!("const {dtype} {value:?}"),
            Inst::Load { buffer, at, mask } => {
                let mask = mask.map_or(String::new(), |m| format!(" if %{}", m.0));
                format!("load {}{mask}", self.place(*buffer, at))
            }
            Inst::Scalar { op, args } => {
                let args: Vec<String> = args.iter().map(|a| format!("%{}", a.0)).collect();
                format!("{} {}", op.name(), args.join(", "))
            }
            Inst::Index(index) => format!("index {}", affine(index)),
            Inst::Div { index, by } => format!("quotient {} by {by}", affine(index)),
            Inst::Rem { index, by } => format!("remainder {} by {by}", affine(index)),
            Inst::InRange { index, extent } => format!("inside {} < {}", affine(index), self.extent(*extent)),
            Inst::Current | Inst::Result => panic!("invariant broken: what a loop carries is no statement"),
        }
    }
}

/// `2*i0 + %3 + -4`
fn affine(index: &Affine) -> String {
    let mut parts: Vec<String> = vec![];
    for &(factor, term) in &index.terms {
        let term = match term {
            Term::Var(v) => format!("i{}", v.0),
            Term::Val(v) => format!("%{}", v.0),
        };
        parts.push(if factor == 1 { term } else { format!("{factor}*{term}") });
    }
    if index.constant != 0 || parts.is_empty() {
        parts.push(index.constant.to_string());
    }
    parts.join(" + ")
}
