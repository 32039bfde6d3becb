//! Entries of a `train` item that do not exist: what they are called elsewhere, and what is written here.
//!
//! In: the entry and the others beside it. Out: E0102 with the way out. Invariant: a fix keeps what was said, in the place
//! where this language says it.

use super::elaborate::Elaborator;
use super::errors::{self, Boxed};
use super::library::{also_setting, helps};
use super::train::ENTRIES;
use crate::base::{Diagnostic, Edit, Fix, Span};
use crate::syntax::ast::{Call, Def, Expr, ExprKind, Ident, Stmt, StmtKind};

/// What an entry of another system is here.
enum Here {
    /// The same under another name.
    Named(&'static str),
    /// A duration of `stop`, in this unit.
    Stop(&'static str),
    /// Said in another way: how, or the case of the library's own lines that says it.
    Said(&'static str),
    Library(&'static str),
    /// Not said at all, and why.
    Left(&'static str),
}

const ELSEWHERE: [(&[&str], Here); 15] = [
    (&["epochs", "num_epochs", "n_epochs", "max_epochs", "nb_epoch"], Here::Stop("epochs")),
    (&["steps", "num_steps", "max_steps", "iterations", "max_iter"], Here::Stop("steps")),
    (&["batch_size", "batchsize", "minibatch", "mini_batch"], Here::Named("batch")),
    (&["criterion", "loss_fn", "loss_function", "objective", "cost"], Here::Named("loss")),
    (&["random_seed", "random_state", "rng"], Here::Named("seed")),
    (&["augmentation", "transform", "transforms"], Here::Named("augment")),
    (&["clipnorm", "clip_norm", "grad_clip", "gradient_clipping", "max_grad_norm"], Here::Library("E0104 clip")),
    (&["scheduler", "lr_scheduler", "lr_schedule"], Here::Library("E0104 schedule")),
    (&["patience", "early_stopping"], Here::Said("here it is `stop = 100 epochs or plateau(valid.loss, 5 epochs)`")),
    (
        &["validation_split", "val_split", "validation_data", "valid", "test_size"],
        Here::Said("the `data` item says it: `split(train = 80%, valid = 20%)`"),
    ),
    (&["warmup", "warmup_steps"], Here::Library("E0104 warmup")),
    (&["shuffle"], Here::Left("the rows of the training part are shuffled in every epoch")),
    (
        &["device", "gpu", "cuda"],
        Here::Left("it runs on the processor; `nnc run --threads 4` says on how many threads"),
    ),
    (
        &["save", "checkpoint", "checkpoints", "save_best", "save_to"],
        Here::Left("`nnc run --save FILE` writes the weights"),
    ),
    (&["verbose", "workers", "num_workers"], Here::Left("`nnc run --help` shows what the command line says")),
];

impl Elaborator<'_> {
    /// E0102 of an entry that no `train` item has.
    pub(super) fn unknown_entry(&self, entry: &Ident, stmt: &Stmt, body: &[Stmt]) -> Boxed {
        let d = errors::unknown_setting(entry.span, &entry.text, "train", &ENTRIES);
        let StmtKind::Bind { value, .. } = &stmt.kind else { return d };
        if let Some((_, here)) = ELSEWHERE.iter().find(|(words, _)| words.contains(&entry.text.as_str())) {
            return here.say(d, entry, value, stmt.span, statement(stmt, body));
        }
        self.of_optimizer(d, entry, value, statement(stmt, body), body)
    }

    /// `lr = 0.1` beside the optimizer whose setting it is.
    fn of_optimizer(&self, d: Boxed, entry: &Ident, value: &Expr, all: Span, body: &[Stmt]) -> Boxed {
        let is_optimizer =
            |s: &&Stmt| matches!(&s.kind, StmtKind::Bind { targets, .. } if targets[0].path[0].text == "optimizer");
        let Some(StmtKind::Bind { value: chosen, .. }) = body.iter().find(is_optimizer).map(|s| &s.kind) else {
            return d;
        };
        let (name, call): (&str, Option<&Call>) = match &chosen.kind {
            ExprKind::Name(n) => (n, None),
            ExprKind::Call(c) => (&c.callee.text, Some(c)),
            _ => return d,
        };
        let Some(setting) = self.items.defs.get(name).and_then(|def| setting_of(def, &entry.text)) else { return d };
        let given = match &value.kind {
            ExprKind::Number { value, .. } => format!("{setting} = {value}"),
            _ => format!("{setting} = …"),
        };
        let note = format!("it is a setting of the optimizer: `optimizer = {name}({given})`");
        let mut d = Diagnostic { notes: vec![note], fixes: vec![], ..*d };
        let (at, text) = match call.and_then(|c| c.args.as_deref()) {
            None => (chosen.span.after(), format!("({given})")),
            Some([]) => return Box::new(d),
            Some([.., last]) => (last.value.span.after(), format!(", {given}")),
        };
        let edits = vec![Edit { span: at, text }, Edit { span: all, text: String::new() }];
        d.fixes.push(Fix { message: format!("give it to `{name}`"), edits });
        Box::new(d)
    }
}

/// A statement and what parts it from its neighbour.
pub(super) fn statement(stmt: &Stmt, body: &[Stmt]) -> Span {
    let place = body.iter().position(|s| s.span == stmt.span).unwrap_or(0);
    match (body.get(place + 1), place.checked_sub(1)) {
        (Some(next), _) => Span { end: next.span.start, ..stmt.span },
        (None, Some(before)) => Span { start: body[before].span.end, ..stmt.span },
        (None, None) => stmt.span,
    }
}

fn setting_of<'d>(def: &'d Def, word: &str) -> Option<&'d str> {
    let names: Vec<&str> = def.params.iter().map(|p| p.name.text.as_str()).collect();
    names.iter().copied().find(|n| *n == word).or_else(|| also_setting(word, &names)).filter(|n| *n != "_")
}

impl Here {
    /// `all` is the statement, `gone` what is left out with it.
    fn say(&self, d: Boxed, entry: &Ident, value: &Expr, all: Span, gone: Span) -> Boxed {
        let plain = |note: String| Diagnostic { notes: vec![note], fixes: vec![], ..*d.clone() };
        Box::new(match self {
            Here::Named(name) => {
                plain(format!("here it is `{name}`")).fix(format!("write `{name}`"), entry.span, *name)
            }
            Here::Stop(unit) => {
                let ExprKind::Number { value: n, .. } = &value.kind else {
                    return Box::new(plain(format!("here it is `stop = 10 {unit}`")));
                };
                let text = format!("stop = {n} {unit}");
                plain(format!("here it is `{text}`")).fix(format!("write `{text}`"), all, text)
            }
            Here::Said(how) => plain(how.to_string()),
            Here::Library(case) => match helps(case).next() {
                Some(text) => plain(format!("here it is `{text}`")),
                None => return d,
            },
            Here::Left(why) => plain(format!("it is not said here: {why}")).fix("leave it out", gone, ""),
        })
    }
}
