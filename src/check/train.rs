//! `train` items: what is trained on what, until when, and what must hold at the end.
//!
//! In: the tree of the item. Out: a [`Run`]. Invariant: durations have units, and every run has an end.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::foreign::renamed;
use super::optimizer::UpdateRule;
use super::program::Run;
use super::spec::{Comparison, Expect, PARTS, Stop, TrainSpec};
use crate::base::Span;
use crate::syntax::ast::{Arg, BinaryOp, Call, DefKind, Expr, ExprKind, Ident, Stmt, StmtKind, Unit};
use std::collections::BTreeMap;

pub(super) const ENTRIES: [&str; 10] =
    ["loss", "optimizer", "schedule", "augment", "batch", "stop", "metrics", "seed", "clip", "expect"];

/// The parts of a `train` item's tree.
pub struct TrainItem<'a> {
    pub model: &'a Ident,
    pub args: &'a [Arg],
    pub data: &'a Ident,
    pub alias: Option<&'a Ident>,
    pub body: &'a [Stmt],
}

#[derive(Default)]
struct Entries<'a> {
    single: BTreeMap<&'static str, (&'a Expr, Span)>,
    schedules: Vec<(String, Expr)>,
    expects: Vec<&'a Expr>,
}

impl Elaborator<'_> {
    pub fn train(&mut self, item: &TrainItem<'_>, data: &[String]) -> Res<Run> {
        let name = item.alias.unwrap_or(item.model);
        let Some(model) = self.items.defs.get(&item.model.text).filter(|d| d.kind == DefKind::Model).cloned() else {
            let models: Vec<&str> =
                self.items.defs.values().filter(|d| d.kind == DefKind::Model).map(|d| d.name.text.as_str()).collect();
            return Err(errors::undefined(item.model.span, &item.model.text, &models));
        };
        if !data.contains(&item.data.text) {
            let known: Vec<&str> = data.iter().map(String::as_str).collect();
            return Err(errors::undefined(item.data.span, &item.data.text, &known));
        }
        let call = Call {
            callee: item.model.clone(),
            axes: None,
            args: Some(item.args.to_vec()),
            body: None,
            otherwise: None,
        };
        let func = self.call(&call, item.model.span, true)?;
        let super::value::ValKind::Func(super::value::Func::Def { settings, .. }) = func.kind else {
            panic!("a call of a model gives the model")
        };
        let entries = self.entries(item.body)?;
        let at = name.span;
        let required = |n: &'static str, example: &str| {
            entries
                .single
                .get(n)
                .map(|e| e.0.clone())
                .ok_or_else(|| errors::missing_entry(at, &format!("`train {}`", name.text), n, example))
        };
        let loss = required("loss", "loss = …")?;
        let optimizer = required("optimizer", "optimizer = …")?;
        let stop = self.stops(&required("stop", "stop = 10 epochs")?)?;
        let batch = self.whole(&entries, "batch", 32.0, 1.0)?;
        let seed = self.whole(&entries, "seed", 0.0, 0.0)?;
        let mut metrics = self.metrics(&entries)?;
        let expects = entries.expects.iter().map(|e| self.expectation(e)).collect::<Res<Vec<Expect>>>()?;
        for rule in &stop {
            if let Stop::Plateau { span, metric, .. } = rule {
                self.ask_for(metric, *span, &mut metrics)?;
            }
        }
        for expect in &expects {
            self.ask_for(&expect.metric, expect.span, &mut metrics)?;
        }
        let augment = entries.single.get("augment").map(|e| e.0.clone());
        let counted = stop.iter().any(|s| matches!(s, Stop::Epochs(_) | Stop::Steps(_)));
        let spec = TrainSpec {
            name: name.text.clone(),
            model: model.name.text.clone(),
            data: item.data.text.clone(),
            span: at,
            batch: batch as u64,
            seed: seed as u64,
            stop,
            metrics: metrics.iter().map(|(n, _)| n.clone()).collect(),
            expects,
        };
        let clip = entries.single.get("clip").map(|e| e.0.clone());
        let rule = UpdateRule { optimizer, schedules: entries.schedules, clip, counted };
        Ok(Run { spec, model, settings: (*settings).clone(), loss, metrics, rule, augment, dims: vec![] })
    }

    /// What a rule or a promise is about is computed, listed or not.
    fn ask_for(&self, metric: &str, span: Span, metrics: &mut Vec<(String, Expr)>) -> Res<()> {
        if metric == "loss" || metrics.iter().any(|(n, _)| *n == metric) {
            return Ok(());
        }
        let alike: Vec<&str> = metrics.iter().map(|(n, _)| n.as_str()).filter(|n| callee_of(n) == metric).collect();
        if !alike.is_empty() {
            return Err(errors::which_metric(span, metric, &alike));
        }
        let value = Expr { kind: ExprKind::Name(metric.to_string()), span };
        self.check_metric(&value)?;
        metrics.push((metric.to_string(), value));
        Ok(())
    }

    fn entries<'a>(&mut self, body: &'a [Stmt]) -> Res<Entries<'a>> {
        let mut out = Entries::default();
        for stmt in body {
            match &stmt.kind {
                StmtKind::Bind { targets, value } if targets.len() == 1 && targets[0].index.is_none() => {
                    let path = &targets[0].path;
                    let Some(entry) = ENTRIES.iter().find(|e| **e == path[0].text) else {
                        return Err(self.unknown_entry(&path[0], stmt, body));
                    };
                    match (*entry, path.len()) {
                        ("schedule", 2) => {
                            if out.schedules.iter().any(|(n, _)| *n == path[1].text) {
                                return Err(errors::duplicate_setting(
                                    path[1].span,
                                    targets[0].span,
                                    stmt.span,
                                    "the schedule of",
                                    &path[1].text,
                                ));
                            }
                            out.schedules.push((path[1].text.clone(), value.clone()));
                        }
                        ("schedule", _) => {
                            return Err(errors::missing_entry(
                                path[0].span,
                                "the schedule",
                                "setting",
                                "schedule.lr = …",
                            ));
                        }
                        (entry, 1) => {
                            if let Some((_, first)) = out.single.insert(entry, (value, path[0].span)) {
                                return Err(errors::duplicate_setting(
                                    first,
                                    path[0].span,
                                    stmt.span,
                                    "the setting",
                                    entry,
                                ));
                            }
                        }
                        _ => return Err(errors::unknown_setting(path[1].span, &path[1].text, &path[0].text, &[])),
                    }
                }
                StmtKind::Expect(e) => out.expects.push(e),
                _ => return Err(errors::not_a_statement(stmt.span, "a `train` item")),
            }
        }
        Ok(out)
    }

    fn whole(&mut self, entries: &Entries<'_>, name: &'static str, default: f64, least: f64) -> Res<f64> {
        let Some((e, _)) = entries.single.get(name) else { return Ok(default) };
        let n = self.number(e)?;
        if n.fract() != 0.0 || n < least || n > 9e15 {
            return Err(errors::out_of_range(e.span, &format!("`{name}`"), &format!("a whole number from {least}"), n));
        }
        Ok(n)
    }

    fn stops(&mut self, e: &Expr) -> Res<Vec<Stop>> {
        match &e.kind {
            ExprKind::Binary(first, rest) if rest.iter().all(|(op, _, _)| *op == BinaryOp::Or) => {
                let mut out = self.stops(first)?;
                for (_, _, x) in rest {
                    out.extend(self.stops(x)?);
                }
                Ok(out)
            }
            ExprKind::Paren(inner) => self.stops(inner),
            ExprKind::Number { value, unit, .. } => {
                let n = *value;
                if n <= 0.0 {
                    return Err(errors::out_of_range(e.span, "`stop`", "above 0", n));
                }
                Ok(vec![match unit {
                    Some(Unit::Epochs) => Stop::Epochs(n),
                    Some(Unit::Steps) => Stop::Steps(n as u64),
                    Some(Unit::Seconds) => Stop::Seconds(n),
                    Some(Unit::Minutes) => Stop::Seconds(n * 60.0),
                    Some(Unit::Hours) => Stop::Seconds(n * 3600.0),
                    None => return Err(errors::missing_unit(e.span, "`stop`", &format!("{n} epochs"))),
                    Some(_) => return Err(errors::wrong_unit(e.span, "`stop`", "counted in epochs, steps, or time")),
                }])
            }
            ExprKind::Call(c) if c.callee.text == "plateau" => self.plateau(c, e.span).map(|s| vec![s]),
            _ => Err(errors::wrong_type_words(e.span, "a duration such as `10 epochs`", "something else")),
        }
    }

    fn plateau(&mut self, c: &Call, span: Span) -> Res<Stop> {
        let args = c.args.as_deref().unwrap_or(&[]);
        let [what, long] = args else {
            let what = "a metric of a part and a number of epochs";
            return Err(errors::lacks(span, "plateau", what, "plateau(valid.loss, 5 epochs)"));
        };
        let (part, metric) = self.part_metric(&what.value)?;
        if metric.text != "loss" {
            self.check_metric(&Expr { kind: ExprKind::Name(metric.text.clone()), span: metric.span })?;
        }
        let metric = metric.text;
        match &long.value.kind {
            ExprKind::Number { value, unit: Some(Unit::Epochs), .. } => {
                let falls = metric == "loss" || self.items.defs.get(&metric).is_some_and(|d| d.kind == DefKind::Loss);
                Ok(Stop::Plateau { span: what.value.span, part, metric, falls, epochs: *value as u64 })
            }
            ExprKind::Number { value, unit: None, .. } => {
                Err(errors::missing_unit(long.value.span, "the patience", &format!("{value} epochs")))
            }
            ExprKind::Number { value, .. } => {
                let d = errors::wrong_unit(long.value.span, "the patience", "counted in epochs");
                let fixed = format!("{value} epochs");
                Err(Box::new((*d).fix(format!("write `{fixed}`"), long.value.span, fixed)))
            }
            _ => Err(errors::wrong_unit(long.value.span, "the patience", "counted in epochs")),
        }
    }

    /// `test.accuracy`
    fn part_metric(&mut self, e: &Expr) -> Res<(String, Ident)> {
        if let ExprKind::Field(base, metric) = &e.kind
            && let ExprKind::Name(part) = &base.kind
        {
            if !PARTS.contains(&part.as_str()) {
                return Err(errors::undefined(base.span, part, &PARTS));
            }
            return Ok((part.clone(), metric.clone()));
        }
        let d = errors::wrong_type_words(e.span, "a metric of a part, such as `test.loss`", "something else");
        let ExprKind::Name(name) = &e.kind else { return Err(d) };
        let first = Span { end: e.span.start, ..e.span };
        let fixes = ["test", "valid", "train"].map(|p| (format!("of the `{p}` part: `{p}.{name}`"), format!("{p}.")));
        Err(Box::new(fixes.into_iter().fold(*d, |d, (message, text)| d.fix(message, first, text))))
    }

    fn expectation(&mut self, e: &Expr) -> Res<Expect> {
        let ExprKind::Binary(left, rest) = &e.kind else {
            return Err(errors::wrong_type_words(e.span, "a comparison such as `test.loss < 0.1`", "something else"));
        };
        let (part, metric) = self.part_metric(left)?;
        if metric.text != "loss" {
            self.check_metric(&Expr { kind: ExprKind::Name(metric.text.clone()), span: metric.span })?;
        }
        let metric = metric.text;
        let [(op, sign, right)] = rest.as_slice() else {
            return Err(errors::wrong_type_words(e.span, "one comparison", "several"));
        };
        let op = match op {
            BinaryOp::Lt => Comparison::Lt,
            BinaryOp::Le => Comparison::Le,
            BinaryOp::Gt => Comparison::Gt,
            BinaryOp::Ge => Comparison::Ge,
            _ => {
                let d = errors::wrong_type_words(*sign, "`<`, `<=`, `>` or `>=`", "another operator");
                return Err(Box::new((*d).fix("a promise is a bound: `>=`", *sign, ">=")));
            }
        };
        let value = self.number(right)?;
        Ok(Expect { part, metric, op, value, span: e.span })
    }

    fn metrics(&mut self, entries: &Entries<'_>) -> Res<Vec<(String, Expr)>> {
        let Some((e, _)) = entries.single.get("metrics") else { return Ok(vec![]) };
        let list: Vec<&Expr> = match &e.kind {
            ExprKind::List(items) => items.iter().collect(),
            ExprKind::Binary(first, rest) => return Err(errors::metrics_in_a_row(first.span, rest)),
            _ => vec![*e],
        };
        let mut out: Vec<(String, Expr)> = Vec::new();
        for e in &list {
            self.check_metric(e)?;
            let full = self.metric_name(e)?;
            let alone = |e: &&&Expr| metric_callee(e).is_some_and(|n| n == callee_of(&full));
            let name = if list.iter().filter(alone).count() == 1 { callee_of(&full).to_string() } else { full };
            if let Some((_, first)) = out.iter().find(|(n, _)| *n == name) {
                return Err(errors::duplicate(first.span, e.span, "the metric", &name));
            }
            out.push((name, (*e).clone()));
        }
        Ok(out)
    }

    /// `huber(delta = 0.1)`: with its settings, which tell apart two metrics of one definition.
    fn metric_name(&mut self, e: &Expr) -> Res<String> {
        let c = match &e.kind {
            ExprKind::Name(n) => return Ok(n.clone()),
            ExprKind::Call(c) => c,
            _ => {
                let v = self.eval(e)?;
                return Err(self.unquoted(errors::wrong_type(e.span, "a metric", &v), &v));
            }
        };
        let mut settings = Vec::new();
        for a in c.args.iter().flatten() {
            let shown = match &a.value.kind {
                ExprKind::Name(n) => n.clone(),
                _ => self.eval(&a.value)?.as_number().map_or("…".to_string(), |n| n.to_string()),
            };
            settings.push(a.name.as_ref().map_or(shown.clone(), |n| format!("{} = {shown}", n.text)));
        }
        let name = &c.callee.text;
        Ok(if settings.is_empty() { name.clone() } else { format!("{name}({})", settings.join(", ")) })
    }

    fn check_metric(&self, e: &Expr) -> Res<()> {
        let name = match &e.kind {
            ExprKind::Name(n) => n.clone(),
            ExprKind::Call(c) => c.callee.text.clone(),
            _ => return Ok(()),
        };
        let fits = |k: DefKind| matches!(k, DefKind::Fn | DefKind::Loss);
        if self.items.defs.get(&name).is_some_and(|d| fits(d.kind)) {
            return Ok(());
        }
        let known: Vec<&str> = self
            .items
            .defs
            .values()
            .filter(|d| fits(d.kind) && d.inputs.len() == 2)
            .map(|d| d.name.text.as_str())
            .collect();
        let d = renamed(errors::undefined(e.span, &name, &known), &name, e.span, None, self.items);
        let list = format!("metrics are functions of output and target: {}", known.join(", "));
        Err(if d.fixes.is_empty() { Box::new((*d).note(list)) } else { d })
    }
}

/// The definition that a metric's name begins with.
fn callee_of(name: &str) -> &str {
    name.split('(').next().unwrap_or(name)
}

fn metric_callee(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Name(n) => Some(n),
        ExprKind::Call(c) => Some(&c.callee.text),
        _ => None,
    }
}
