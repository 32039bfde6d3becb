//! Items, statements and bodies.
//!
//! In: items and statements. Out: lines. Invariant: a body stays on one line if it stood on one line and holds no comment.

use super::Printer;
use crate::base::Span;
use crate::syntax::ast::{Def, DefKind, Item, ItemKind, Port, Slot, Stmt, StmtKind, Target, TypeExpr};

fn word(kind: DefKind) -> &'static str {
    match kind {
        DefKind::Fn => "fn",
        DefKind::Init => "init",
        DefKind::Block => "block",
        DefKind::Op => "op",
        DefKind::Loss => "loss",
        DefKind::Optimizer => "optimizer",
        DefKind::Model => "model",
    }
}

fn has_body(item: &Item) -> bool {
    !matches!(item.kind, ItemKind::Use { .. } | ItemKind::Const { .. })
}

impl Printer<'_> {
    pub(super) fn items(&mut self, items: &[Item]) {
        for (i, item) in items.iter().enumerate() {
            let start = item.span.start as usize;
            let apart = i > 0 && (has_body(item) || has_body(&items[i - 1]));
            let taken = self.flush(start, apart);
            self.space_before(start, apart && !taken);
            self.start_line();
            self.item(item);
            self.attach_inner(item.span.end as usize);
            self.end_line();
        }
    }

    fn item(&mut self, item: &Item) {
        match &item.kind {
            ItemKind::Use { path } => {
                self.push("use ");
                self.verbatim(path.span);
            }
            ItemKind::Const { name, value } => {
                self.push("const ");
                self.push(&name.text);
                self.push(" = ");
                self.expr(value);
            }
            ItemKind::Data { name, reader, body } => {
                self.push("data ");
                self.push(&name.text);
                self.push(" = ");
                self.expr(reader);
                self.body(body, reader.span.end as usize, true);
            }
            ItemKind::Def(def) => self.def(def),
            ItemKind::Train { model, args, data, alias, body } => {
                self.push("train ");
                self.push(&model.text);
                if !args.is_empty() {
                    self.args(args);
                }
                self.push(" on ");
                self.push(&data.text);
                if let Some(alias) = alias {
                    self.push(" as ");
                    self.push(&alias.text);
                }
                let last = alias.as_ref().unwrap_or(data);
                self.body(body, last.span.end as usize, true);
            }
        }
    }

    fn def(&mut self, def: &Def) {
        self.push(word(def.kind));
        self.push(" ");
        self.push(&def.name.text);
        let mut end = def.name.span.end;
        if !def.params.is_empty() {
            let starts: Vec<usize> = def.params.iter().map(|p| p.name.span.start as usize).collect();
            self.sequence("(", ")", &starts, |printer, i| {
                printer.push(&def.params[i].name.text);
                if let Some(default) = &def.params[i].default {
                    printer.push(" = ");
                    printer.expr(default);
                }
            });
            let last = &def.params[def.params.len() - 1];
            end = last.default.as_ref().map_or(last.name.span.end, |d| d.span.end);
        } else {
            end = self.skip(end as usize, b"()") as u32;
        }
        if !def.inputs.is_empty() {
            self.push("  ");
            end = self.ports(&def.inputs);
        }
        if !def.outputs.is_empty() {
            self.push(if def.inputs.is_empty() { "  -> " } else { " -> " });
            end = self.ports(&def.outputs);
        }
        self.body(&def.body, end as usize, false);
    }

    fn ports(&mut self, ports: &[Port]) -> u32 {
        for (i, port) in ports.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            if let Some(name) = &port.name {
                self.push(&name.text);
            }
            if let Some(ty) = &port.ty {
                self.push(if port.name.is_some() { ": " } else { "" });
                self.kind(ty);
            }
        }
        ports[ports.len() - 1].span.end
    }

    pub(super) fn kind(&mut self, ty: &TypeExpr) {
        if let Some(kind) = &ty.kind {
            self.push(&kind.text);
        }
        if !ty.args.is_empty() {
            self.list("(", ")", &ty.args);
        }
        if let Some(dims) = &ty.dims {
            self.list("[", "]", dims);
        }
    }

    /// `{ … }`; its `{` is the next sign in the source behind `from` but for closing brackets.
    pub(super) fn body(&mut self, body: &[Stmt], from: usize, aligned: bool) {
        let open = self.skip(from, b"),]");
        let last = body.last().map_or(open + 1, |s| s.span.end as usize);
        let close = self.skip(last, b";");
        let text = &self.source[open.min(close)..close];
        let one_line = !text.contains(['\n', '\r']) && !self.comment_before(close);
        self.push(" {");
        if one_line {
            for (i, statement) in body.iter().enumerate() {
                self.push(if i > 0 { "; " } else { " " });
                self.statement(statement, 0);
            }
            self.push(if body.is_empty() { "}" } else { " }" });
            return;
        }
        self.push("\n");
        self.indent += 1;
        let widths = if aligned { self.widths(body) } else { vec![0; body.len()] };
        for (statement, width) in body.iter().zip(widths) {
            let start = statement.span.start as usize;
            self.flush(start, false);
            self.space_before(start, false);
            self.start_line();
            self.statement(statement, width);
            self.attach_inner(statement.span.end as usize);
            self.end_line();
        }
        self.flush(close, false);
        self.indent -= 1;
        self.start_line();
        self.push("}");
    }

    /// How wide the left sides of neighbouring bindings are printed, so that their `=` stand in one column.
    fn widths(&mut self, body: &[Stmt]) -> Vec<usize> {
        let mut widths = vec![0; body.len()];
        let mut start = 0;
        let own: Vec<usize> = body.iter().map(|s| self.left_width(s)).collect();
        for end in 1..=body.len() {
            let apart = end == body.len() || own[end] == 0 || self.apart(&body[end - 1], &body[end]);
            if apart {
                let widest = own[start..end].iter().copied().max().unwrap_or(0);
                widths[start..end].iter_mut().for_each(|w| *w = widest);
                start = end;
            }
        }
        widths
    }

    /// An empty line or a comment on its own line stands between two statements.
    fn apart(&self, above: &Stmt, below: &Stmt) -> bool {
        let between = &self.source[above.span.end as usize..below.span.start as usize];
        !matches!(above.kind, StmtKind::Bind { .. })
            || between.lines().skip(1).filter(|l| l.trim().is_empty() || l.trim_start().starts_with('/')).count() > 1
            || self
                .comments
                .iter()
                .any(|c| c.own_line && c.span.start >= above.span.end && c.span.end <= below.span.start)
    }

    fn left_width(&mut self, statement: &Stmt) -> usize {
        let StmtKind::Bind { targets, .. } = &statement.kind else { return 0 };
        let (comments, length) = (self.next_comment, self.out.len());
        self.targets(targets);
        let width = self.out[length..].chars().count();
        self.out.truncate(length);
        self.next_comment = comments;
        width
    }

    fn statement(&mut self, statement: &Stmt, width: usize) {
        match &statement.kind {
            StmtKind::Bind { targets, value } => {
                let length = self.out.len();
                self.targets(targets);
                for _ in self.out[length..].chars().count()..width {
                    self.push(" ");
                }
                self.push(" = ");
                self.expr(value);
            }
            StmtKind::Field { name, ty } => {
                self.push(&name.text);
                self.push(": ");
                self.kind(ty);
            }
            StmtKind::Param(slot) => {
                self.push("param ");
                self.slot(slot);
            }
            StmtKind::State(slots) => {
                self.push("state ");
                self.slots(slots);
            }
            StmtKind::Assert { condition, message } => {
                self.push("assert ");
                self.expr(condition);
                if let Some(message) = message {
                    self.push(", ");
                    self.verbatim(message.span);
                }
            }
            StmtKind::Expect(condition) => {
                self.push("expect ");
                self.expr(condition);
            }
            StmtKind::Phase { train, body } => {
                self.push(if *train { "train" } else { "infer" });
                self.body(body, statement.span.start as usize + "train".len(), false);
            }
            StmtKind::Scan { args, states, body } => {
                self.push("scan");
                self.args(args);
                self.push(if states.is_empty() { "" } else { " " });
                self.slots(states);
                let from = statement.span.start as usize + "scan".len();
                let last_arg = args.last().map_or(self.skip(from, b"("), |a| a.value.span.end as usize);
                self.body(body, states.last().map_or(last_arg, |s| s.span.end as usize), false);
            }
            StmtKind::Expr(value) => self.expr(value),
        }
    }

    fn targets(&mut self, targets: &[Target]) {
        for (i, target) in targets.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            for (i, part) in target.path.iter().enumerate() {
                self.push(if i > 0 { "." } else { "" });
                self.push(&part.text);
            }
            if let Some(index) = &target.index {
                self.list("[", "]", index);
            }
            if let Some(ty) = &target.ty {
                self.push(": ");
                self.kind(ty);
            }
        }
    }

    fn slots(&mut self, slots: &[Slot]) {
        for (i, slot) in slots.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            self.slot(slot);
        }
    }

    fn slot(&mut self, slot: &Slot) {
        self.push(&slot.name.text);
        if let Some(ty) = &slot.ty {
            self.push(": ");
            self.kind(ty);
        }
        if let Some(init) = &slot.init {
            self.push(" = ");
            self.expr(init);
        }
    }

    pub(super) fn verbatim(&mut self, span: Span) {
        let text = &self.source[span.start as usize..span.end as usize];
        self.out.push_str(text);
    }
}
