//! Reads the text of a program.
//!
//! In: text as [`super::print::print`] writes it. Out: the program, or the line and what is wrong there. Invariant:
//! `parse(print(p)) == p`; whether the program is a correct one is for `verify` to say.

use super::ir::*;
use super::print::reduce_name;
use crate::base::{DType, Extent, Shape};
use crate::ops::{ReduceKind, ScalarOp};
use std::str::FromStr;

pub fn parse(text: &str) -> Result<Program, String> {
    let mut reader = Reader { tokens: tokens(text)?, next: 0, program: Program::default() };
    match reader.program() {
        Ok(()) => Ok(reader.program),
        Err(error) => Err(format!("line {}: {error}", reader.line())),
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    quoted: bool,
    line: usize,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out: Vec<Token> = vec![];
    for (number, content) in text.lines().enumerate() {
        let line = number + 1;
        let mut chars = content.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ' ' => {}
                '(' | ')' | '{' | '}' | '[' | ']' | ',' | '=' | '<' | '@' => {
                    out.push(Token { text: c.to_string(), quoted: false, line });
                }
                '"' => {
                    let mut text = String::new();
                    loop {
                        match chars.next() {
                            Some('"') => break,
                            Some('\\') => text.extend(chars.next()),
                            Some(c) => text.push(c),
                            None => return Err(format!("line {line}: a quote is not closed")),
                        }
                    }
                    out.push(Token { text, quoted: true, line });
                }
                _ => {
                    let mut text = String::from(c);
                    while let Some(c) = chars.next_if(|c| !" (){}[],=<@\"".contains(*c)) {
                        text.push(c);
                    }
                    out.push(Token { text, quoted: false, line });
                }
            }
        }
    }
    Ok(out)
}

struct Reader {
    tokens: Vec<Token>,
    next: usize,
    program: Program,
}

/// The deepest repeat in a repeat that is read.
const MAX_REPEATS: usize = 64;

type Read<T> = Result<T, String>;

impl Reader {
    fn line(&self) -> usize {
        self.tokens.get(self.next.saturating_sub(1)).map_or(0, |t| t.line)
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.next).map_or("", |t| if t.quoted { "\"" } else { &t.text })
    }

    fn word(&mut self) -> Read<String> {
        let token = self.tokens.get(self.next).ok_or("the text ends too early")?;
        self.next += 1;
        Ok(token.text.clone())
    }

    fn found(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Read<()> {
        if self.found(text) { Ok(()) } else { Err(format!("`{text}` is needed, but `{}` stands here", self.peek())) }
    }

    fn number<T: FromStr>(&mut self) -> Read<T> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("`{word}` is no number that fits here"))
    }

    /// What follows `prefix` in the next word, as a number.
    fn numbered(&mut self, prefix: char) -> Read<u32> {
        let word = self.word()?;
        let number = word.strip_prefix(prefix).and_then(|n| n.parse().ok());
        number.ok_or_else(|| format!("`{word}` should be `{prefix}` and a number"))
    }

    fn val(&mut self) -> Read<Val> {
        self.numbered('%').map(Val)
    }

    fn program(&mut self) -> Read<()> {
        self.expect("program")?;
        self.program.name = self.word()?;
        self.expect("(")?;
        while !self.found(")") {
            let symbol = self.word()?;
            self.program.symbols.push(symbol);
            self.found(",");
        }
        while self.found("buffer") {
            let buffer = self.buffer()?;
            self.program.buffers.push(buffer);
        }
        while self.next < self.tokens.len() {
            self.part(0)?;
        }
        Ok(())
    }

    /// A kernel, or a repeat with its parts; `depth` repeats stand around it.
    fn part(&mut self, depth: usize) -> Read<()> {
        if !self.found("steps") {
            self.expect("kernel")?;
            let mut kernel = Kernel { name: self.word()?, ..Kernel::default() };
            while self.found("step") {
                let var = Var(self.numbered('i')?);
                self.expect("=")?;
                let number: u32 = self.number()?;
                let around = self.program.repeats.get(number as usize);
                let extent = around.map(|r| r.extent).ok_or_else(|| format!("there is no loop {number} around"))?;
                kernel.vars = kernel.vars.max(var.0.saturating_add(1));
                kernel.steps.push(Step { var, repeat: number, extent });
            }
            kernel.body = self.block(&mut kernel)?;
            self.program.kernels.push(kernel);
            return Ok(());
        }
        if depth > MAX_REPEATS {
            return Err(format!("loops stand at most {MAX_REPEATS} deep in each other"));
        }
        let (number, begin): (usize, _) = (self.number()?, self.program.kernels.len() as u32);
        if number > self.program.repeats.len() + MAX_REPEATS {
            return Err(format!("the loop {number} comes too early"));
        }
        self.expect("<")?;
        let extent = self.extent()?;
        let reverse = self.found("backward");
        if !reverse {
            self.expect("forward")?;
        }
        if self.program.repeats.len() <= number {
            self.program.repeats.resize(number + 1, Repeat::default());
        }
        self.program.repeats[number] = Repeat { extent, reverse, kernels: begin..begin };
        self.expect("{")?;
        while !self.found("}") {
            self.part(depth + 1)?;
        }
        self.program.repeats[number].kernels.end = self.program.kernels.len() as u32;
        Ok(())
    }

    fn dtype(&mut self) -> Read<DType> {
        let word = self.word()?;
        DType::ALL.into_iter().find(|t| t.name() == word).ok_or_else(|| format!("`{word}` is no element type"))
    }

    fn extent(&mut self) -> Read<Extent> {
        let word = self.word()?;
        match self.program.symbols.iter().position(|s| *s == word) {
            Some(symbol) => Ok(Extent::Sym(symbol as u32)),
            None => word.parse().map(Extent::Fixed).map_err(|_| format!("`{word}` is neither a number nor a symbol")),
        }
    }

    fn buffer(&mut self) -> Read<Buffer> {
        self.expect("@")?;
        let (name, dtype) = (self.word()?, self.dtype()?);
        self.expect("[")?;
        let mut shape = Shape::new();
        while !self.found("]") {
            shape.push(self.extent()?);
            self.found(",");
        }
        let home = match self.word()?.as_str() {
            "outside" => Home::Outside,
            "arena" => Home::Arena { first: self.number()?, last: self.number()? },
            other => return Err(format!("`{other}` is no home of a buffer")),
        };
        Ok(Buffer { name, dtype, shape, home })
    }

    fn block(&mut self, kernel: &mut Kernel) -> Read<Vec<Stmt>> {
        self.expect("{")?;
        let mut body = vec![];
        while !self.found("}") {
            let stmt = self.stmt(kernel)?;
            body.push(stmt);
        }
        Ok(body)
    }

    fn stmt(&mut self, kernel: &mut Kernel) -> Read<Stmt> {
        if self.peek().starts_with('%') {
            let val = self.val()?;
            self.expect("=")?;
            let inst = self.inst()?;
            define(kernel, val, inst)?;
            return Ok(Stmt::Let(val));
        }
        if self.found("store") {
            let (buffer, at) = self.place()?;
            self.expect("=")?;
            return Ok(Stmt::Store { buffer, at, value: self.val()? });
        }
        let kind = self.kind()?;
        let var = Var(self.numbered('i')?);
        self.expect("<")?;
        let extent = self.extent()?;
        kernel.vars = kernel.vars.max(var.0.saturating_add(1));
        let mut carries = vec![];
        while self.found("carry") {
            carries.push(self.carry(kernel)?);
        }
        let body = self.block(kernel)?;
        Ok(Stmt::Loop(Loop { var, extent, kind, carries, body }))
    }

    fn kind(&mut self) -> Read<LoopKind> {
        let word = self.word()?;
        let mut count = 1;
        if self.found("(") {
            count = self.number()?;
            self.expect(")")?;
        }
        match word.as_str() {
            "serial" => Ok(LoopKind::Serial),
            "parallel" => Ok(LoopKind::Parallel { jam: count }),
            "vector" => Ok(LoopKind::Vector { width: count }),
            "lanes" => Ok(LoopKind::Lanes),
            other => Err(format!("`{other}` is no statement")),
        }
    }

    fn carry(&mut self, kernel: &mut Kernel) -> Read<Carry> {
        let result = self.val()?;
        self.expect("=")?;
        let word = self.word()?;
        let kinds = [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Dot];
        let join = kinds.into_iter().find(|&k| reduce_name(k) == word);
        let join = join.ok_or_else(|| format!("`{word}` is no reduction"))?;
        let init = self.val()?;
        self.expect("as")?;
        let current = self.val()?;
        self.expect("to")?;
        let next = self.val()?;
        define(kernel, current, Inst::Current)?;
        define(kernel, result, Inst::Result)?;
        Ok(Carry { result, init, current, next, join })
    }

    fn place(&mut self) -> Read<(BufferId, Vec<Affine>)> {
        self.expect("@")?;
        let name = self.word()?;
        let number = self.program.buffers.iter().position(|b| b.name == name);
        let number = number.ok_or_else(|| format!("there is no buffer `{name}`"))?;
        self.expect("[")?;
        let mut at = vec![];
        while !self.found("]") {
            at.push(self.affine()?);
            self.found(",");
        }
        Ok((BufferId(number as u32), at))
    }

    fn affine(&mut self) -> Read<Affine> {
        let mut out = Affine::default();
        loop {
            let word = self.word()?;
            let (factor, term) = match word.split_once('*') {
                Some((factor, term)) => (factor.parse().map_err(|_| format!("`{factor}` is no factor"))?, term),
                None => (1, word.as_str()),
            };
            let number = |text: &str| text.parse().map_err(|_| format!("`{word}` is no part of an index"));
            match (term.strip_prefix('i'), term.strip_prefix('%')) {
                (Some(var), _) => out.terms.push((factor, Term::Var(Var(number(var)?)))),
                (_, Some(val)) => out.terms.push((factor, Term::Val(Val(number(val)?)))),
                _ => out.constant = word.parse().map_err(|_| format!("`{word}` is no part of an index"))?,
            }
            if !self.found("+") {
                return Ok(out);
            }
        }
    }

    fn inst(&mut self) -> Read<Inst> {
        let word = self.word()?;
        match word.as_str() {
            "const" => Ok(Inst::Const { dtype: self.dtype()?, value: self.number()? }),
            "load" => {
                let (buffer, at) = self.place()?;
                let mask = if self.found("if") { Some(self.val()?) } else { None };
                Ok(Inst::Load { buffer, at, mask })
            }
            "index" => self.affine().map(Inst::Index),
            "quotient" | "remainder" => {
                let index = self.affine()?;
                self.expect("by")?;
                let by = self.number()?;
                Ok(if word == "quotient" { Inst::Div { index, by } } else { Inst::Rem { index, by } })
            }
            "inside" => {
                let index = self.affine()?;
                self.expect("<")?;
                Ok(Inst::InRange { index, extent: self.extent()? })
            }
            name => {
                let op = ScalarOp::ALL.into_iter().find(|op| op.name() == name);
                let op = op.ok_or_else(|| format!("`{name}` is no instruction"))?;
                let mut args = vec![self.val()?];
                while self.found(",") {
                    args.push(self.val()?);
                }
                Ok(Inst::Scalar { op, args })
            }
        }
    }
}

/// The most values that a text may number: no kernel comes near, and a wrong number must not take the memory.
const MAX_VALUES: u32 = 1 << 20;

fn define(kernel: &mut Kernel, val: Val, inst: Inst) -> Read<()> {
    if val.0 >= MAX_VALUES {
        return Err(format!("%{} is more values than a kernel has", val.0));
    }
    let v = val.0 as usize;
    if kernel.insts.len() <= v {
        kernel.insts.resize(v + 1, Inst::Current);
    }
    kernel.insts[v] = inst;
    Ok(())
}
