//! Expressions.
//!
//! In: expressions. Out: their text. Invariant: no bracket is added or lost: `ast` keeps them.

use super::Printer;
use crate::base::Span;
use crate::syntax::ast::{Arg, BinaryOp, Call, Expr, ExprKind, UnaryOp};

fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Alternative => "|",
        BinaryOp::Or => "or",
        BinaryOp::Then => "then",
        BinaryOp::And => "and",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "^",
    }
}

/// `1..4` stands close, `0 .. 0.05` and `2 epochs .. 8 epochs` do not.
fn is_plain_integer(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Number { integer: true, unit: None, .. })
}

impl Printer<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number { .. } => self.number(expr.span),
            ExprKind::Str(_) => self.verbatim(expr.span),
            ExprKind::Name(name) => self.push(name),
            ExprKind::Wildcard => self.push("_"),
            ExprKind::Rest => self.push(".."),
            ExprKind::Field(base, name) => {
                self.expr(base);
                self.push(".");
                self.push(&name.text);
            }
            ExprKind::Call(call) => self.call(call),
            ExprKind::Index(base, index) => {
                self.expr(base);
                self.list("[", "]", index);
            }
            ExprKind::List(list) if list.first().is_some_and(|e| e.span.start == expr.span.start) => {
                self.bare_list(list);
            }
            ExprKind::List(list) => self.list("[", "]", list),
            ExprKind::Range(from, to) => {
                self.expr(from);
                self.push(if is_plain_integer(from) && is_plain_integer(to) { ".." } else { " .. " });
                self.expr(to);
            }
            ExprKind::Unary(op, inner) => {
                self.push(if *op == UnaryOp::Neg { "-" } else { "not " });
                self.expr(inner);
            }
            ExprKind::Binary(first, rest) => {
                self.expr(first);
                self.rest(rest.iter().map(|(op, span, right)| (sign(*op), *span, right)));
            }
            ExprKind::Pipe(first, rest) => {
                self.expr(first);
                self.rest(rest.iter().map(|(span, right)| ("->", *span, right)));
            }
            ExprKind::Paren(inner) => {
                let start = inner.span.start as usize;
                self.sequence_without_comma("(", ")", &[start], |printer, _| printer.expr(inner));
            }
        }
    }

    /// Operators and what is right of them; a line break before one is kept, except where a `-` would begin a statement.
    fn rest<'e>(&mut self, parts: impl Iterator<Item = (&'static str, Span, &'e Expr)>) {
        for (sign, span, right) in parts {
            let at = span.start as usize;
            if sign == "^" {
                self.push("^");
            } else if sign != "-" && self.breaks_before(at) {
                self.indent += 1;
                self.flush(at, false);
                self.start_line();
                self.indent -= 1;
                self.push(sign);
                self.push(" ");
            } else {
                self.push(" ");
                self.push(sign);
                self.push(" ");
            }
            self.expr(right);
        }
    }

    /// The number as it is spelt, one space before a unit.
    fn number(&mut self, span: Span) {
        let text = &self.source[span.start as usize..span.end as usize];
        let unit =
            ["epochs", "epoch", "steps", "step", "seconds", "sec", "samples", "minutes", "min", "hours", "bytes"];
        let short = ["KB", "MB", "GB", "s", "h"];
        match unit.iter().chain(&short).find_map(|u| text.strip_suffix(u).map(|n| (n, *u))) {
            Some((number, unit)) => {
                self.push(number.trim_end());
                self.push(" ");
                self.push(unit);
            }
            None => self.push(text),
        }
    }

    fn call(&mut self, call: &Call) {
        self.push(&call.callee.text);
        let mut end = call.callee.span.end as usize;
        if let Some(axes) = &call.axes {
            self.list("[", "]", axes);
        }
        if let Some(args) = &call.args {
            self.args(args);
            end = args.last().map_or_else(|| self.skip(end, b"()"), |a| a.value.span.end as usize);
        }
        if let Some(body) = &call.body {
            self.body(body, end, false);
            if let Some(otherwise) = &call.otherwise {
                let inside = body.last().map_or_else(|| self.skip(end, b"),]") + 1, |s| s.span.end as usize);
                let else_word = self.skip(inside, b";}");
                self.push(" else");
                self.body(otherwise, else_word + "else".len(), false);
            }
        }
    }

    pub(super) fn args(&mut self, args: &[Arg]) {
        let start = |a: &Arg| a.name.as_ref().map_or(a.value.span.start, |n| n.span.start) as usize;
        let starts: Vec<usize> = args.iter().map(start).collect();
        self.sequence("(", ")", &starts, |printer, i| {
            if let Some(name) = &args[i].name {
                printer.push(&name.text);
                printer.push(" = ");
            }
            printer.expr(&args[i].value);
        });
    }

    pub(super) fn list(&mut self, open: &str, close: &str, list: &[Expr]) {
        let starts: Vec<usize> = list.iter().map(|e| e.span.start as usize).collect();
        self.sequence(open, close, &starts, |printer, i| printer.expr(&list[i]));
    }

    fn bare_list(&mut self, list: &[Expr]) {
        for (i, element) in list.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            self.expr(element);
        }
    }

    pub(super) fn sequence(&mut self, open: &str, close: &str, starts: &[usize], print: impl FnMut(&mut Self, usize)) {
        self.elements(open, close, ",", starts, print);
    }

    fn sequence_without_comma(
        &mut self,
        open: &str,
        close: &str,
        starts: &[usize],
        print: impl FnMut(&mut Self, usize),
    ) {
        self.elements(open, close, "", starts, print);
    }

    /// Elements in brackets: on one line, or one on a line where the first stood on a line of its own.
    fn elements(
        &mut self,
        open: &str,
        close: &str,
        comma: &str,
        starts: &[usize],
        mut print: impl FnMut(&mut Self, usize),
    ) {
        let vertical = starts.first().is_some_and(|&at| self.breaks_before(at));
        self.push(open);
        if vertical {
            self.indent += 1;
        }
        for (i, &at) in starts.iter().enumerate() {
            if vertical {
                self.flush(at, false);
                self.start_line();
            } else if i > 0 {
                self.push(", ");
            }
            print(self, i);
            if vertical {
                self.push(comma);
            }
        }
        if vertical {
            self.indent -= 1;
            self.start_line();
        }
        self.push(close);
    }
}
