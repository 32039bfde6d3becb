//! Calls: what stands in the parentheses becomes settings or inputs.
//!
//! In: a call and the frame it stands in. Out: a layer with its settings, or the result of applying it. Invariant: every
//! setting is one that the signature names, given once.

use super::builtin;
use super::elaborate::{Elaborator, Res};
use super::errors::{self, Boxed};
use super::sums::bounded;
use super::value::{Func, Label, Template, Val, ValKind};
use crate::base::Span;
use crate::syntax::ast::{Arg, BinaryOp, Call, Def, DefKind, Expr, ExprKind, Stmt};
use std::collections::BTreeMap;
use std::sync::Arc;

type Args = Vec<(Option<String>, Val)>;

impl Elaborator<'_> {
    /// `piped`: the input comes along an arrow, so that values in parentheses are settings.
    pub fn call(&mut self, c: &Call, span: Span, piped: bool) -> Res<Val> {
        let name = &c.callee.text;
        if name == "if" {
            return self.choose(c, span);
        }
        if let Some(v) = self.lookup(name).cloned() {
            return self.call_value(c, v, span, piped);
        }
        if let Some(def) = self.items.defs.get(name).cloned() {
            return self.call_def(c, &def, span, piped);
        }
        let Some(name) = builtin::find(name) else { return Err(self.unknown_layer(name, c.callee.span, Some(c))) };
        for item in c.axes.iter().flatten() {
            self.bound_index(item)?;
        }
        if let (Some(axes), Some([Arg { name: None, value }]), "sum") = (&c.axes, c.args.as_deref(), name)
            && let Some(v) = self.contraction(axes, value, span)?
        {
            return Ok(v);
        }
        let args = self.args(c)?;
        if piped {
            let func = Func::Builtin { name, args, axes: c.axes.clone(), span };
            return Ok(Val::new(ValKind::Func(func), span));
        }
        self.builtin(name, args, c.axes.as_deref(), span)
    }

    /// E0103 where a call gives a setting twice.
    pub fn check_given_once(&self, c: &Call) -> Res<()> {
        let (mut seen, mut before): (BTreeMap<&str, Span>, Option<Span>) = (BTreeMap::new(), None);
        for a in c.args.iter().flatten() {
            if let Some(n) = &a.name
                && let Some(first) = seen.insert(&n.text, n.span)
            {
                let written = before.unwrap_or(n.span).to(a.value.span);
                return Err(errors::duplicate_setting(first, n.span, written, "the setting", &n.text));
            }
            before = Some(a.value.span.after());
        }
        Ok(())
    }

    fn args(&mut self, c: &Call) -> Res<Args> {
        self.check_given_once(c)?;
        let mut out: Args = Vec::new();
        for a in c.args.iter().flatten() {
            let v = self.eval(&a.value)?;
            out.push((a.name.as_ref().map(|n| n.text.clone()), v));
        }
        Ok(out)
    }

    fn call_value(&mut self, c: &Call, v: Val, span: Span, piped: bool) -> Res<Val> {
        let ValKind::Func(func) = &v.kind else {
            return Err(errors::wrong_type(self.blame(c.callee.span), "a layer or function before `(`", &v));
        };
        let args = self.args(c)?;
        if piped || args.is_empty() {
            return match args.first() {
                None => Ok(v),
                Some((_, a)) => Err(errors::made_already(self.blame(a.span), &c.callee.text)),
            };
        }
        self.apply_func(func, args.into_iter().map(|(_, v)| v).collect(), span)
    }

    fn call_def(&mut self, c: &Call, def: &Arc<Def>, span: Span, piped: bool) -> Res<Val> {
        let args = self.args(c)?;
        let is_input = |v: &Val| match &v.kind {
            ValKind::Tensor(_) | ValKind::Scalar(_) | ValKind::Set(_) => true,
            ValKind::List(items) => items.iter().any(|i| matches!(i.kind, ValKind::Tensor(_))),
            _ => false,
        };
        let positional = args.iter().filter(|(n, _)| n.is_none()).count();
        let numbers =
            def.params.is_empty() && matches!(def.kind, DefKind::Fn | DefKind::Init) && positional == def.inputs.len();
        let (mut inputs, mut given) = (Vec::new(), Vec::new());
        for (name, v) in args {
            if name.is_none() && !piped && (is_input(&v) || numbers) { inputs.push(v) } else { given.push((name, v)) }
        }
        let settings = self.settings(c, def, given)?;
        let body = match &c.body {
            Some(stmts) if takes_body(def) => Some(self.template(stmts, span)),
            Some(_) => return Err(errors::no_body(self.blame(span), &def.name.text)),
            None if takes_body(def) => return Err(errors::missing_setting(self.blame(span), &def.name.text, "body")),
            None => None,
        };
        let func = Func::Def { def: def.clone(), settings: Arc::new(settings), body, path: None, span };
        if inputs.is_empty() {
            return Ok(Val::new(ValKind::Func(func), span));
        }
        self.apply_func(&func, inputs, span)
    }

    pub fn template(&mut self, stmts: &[Stmt], span: Span) -> Arc<Template> {
        Arc::new(Template { body: stmts.to_vec(), vars: self.frame().vars.clone(), nameless: false, span })
    }

    /// Values in parentheses bound to the definition's parameters; a range fills two of them, several dimensions one.
    fn settings(&mut self, c: &Call, def: &Def, given: Args) -> Res<BTreeMap<String, Val>> {
        let names: Vec<&str> = def.params.iter().map(|p| p.name.text.as_str()).filter(|n| *n != "body").collect();
        let named: Vec<String> = given.iter().filter_map(|(n, _)| n.clone()).collect();
        let mut free = names.iter().filter(|n| !named.iter().any(|m| m == *n));
        let mut out = BTreeMap::new();
        let dims = given.len() > 1
            && names.len() == 1
            && given.iter().all(|(n, v)| n.is_none() && matches!(v.kind, ValKind::Dim { .. }));
        if dims {
            let span = given[0].1.span;
            let list = given.into_iter().map(|(_, v)| v).collect();
            out.insert(names[0].to_string(), Val::new(ValKind::List(list), span));
            return Ok(out);
        }
        for (name, v) in given {
            match name {
                Some(n) if names.contains(&n.as_str()) => {
                    out.insert(n, v);
                }
                Some(n) => {
                    return Err(self.unknown_setting(c, def, &n, &v, &out));
                }
                None => {
                    let parts = match v.kind {
                        ValKind::Range(a, b) => vec![Val::number(a, v.span), Val::number(b, v.span)],
                        _ => vec![v],
                    };
                    for part in parts {
                        let Some(n) = free.next() else {
                            let d = errors::too_many_settings(self.blame(part.span), &def.name.text, names.len());
                            return Err(if takes_body(def) { errors::body_in_braces(*d, &def.name.text) } else { d });
                        };
                        out.insert(n.to_string(), part);
                    }
                }
            }
        }
        let lacks = |p: &&crate::syntax::ast::ParamDecl| {
            p.default.is_none() && p.name.text != "body" && !out.contains_key(&p.name.text)
        };
        if let Some(p) = def.params.iter().find(lacks) {
            let d = errors::missing_setting(self.blame(c.callee.span), &def.name.text, &p.name.text);
            let d = errors::input_as_setting(d, def);
            return Err(self.with_example(d, def, &p.name.text, c.callee.span, c.args.as_deref()));
        }
        self.check_settings(def, &out).map_err(|d| self.misplaced(d, c))?;
        Ok(out)
    }

    /// Offers the value that the example of the definition has; `at` is the name that lacks it in its parentheses.
    pub fn with_example(&self, d: Boxed, def: &Def, setting: &str, at: Span, args: Option<&[Arg]>) -> Boxed {
        let Some(given) = self.items.example(def, setting).filter(|_| !self.items.is_library(at)) else { return d };
        let (place, text) = match args {
            None => (at.after(), format!("({given})")),
            // behind the `(`
            Some([]) => (Span { start: at.end + 1, end: at.end + 1, ..at }, given.clone()),
            Some([.., last]) => (last.value.span.after(), format!(", {given}")),
        };
        Box::new((*d).fix(format!("write `{given}`, as in the example of `{}`", def.name.text), place, text))
    }

    /// A setting is of the type of its default: a number stays a number, `true` a truth value.
    fn check_settings(&self, def: &Def, given: &BTreeMap<String, Val>) -> Res<()> {
        for p in &def.params {
            let Some(v) = given.get(&p.name.text) else { continue };
            let expected = match p.default.as_ref().map(|d| &d.kind) {
                Some(ExprKind::Number { .. } | ExprKind::Unary(..)) => "a number",
                Some(ExprKind::Name(n)) if n == "true" || n == "false" => "`true` or `false`",
                Some(ExprKind::Str(_)) if matches!(v.kind, ValKind::Text(_)) => continue,
                Some(ExprKind::Str(_)) => "a text in quotes",
                _ => match &v.kind {
                    ValKind::Text(t) => return Err(errors::number_as_string(self.blame(v.span), t)),
                    _ => continue,
                },
            };
            let number = expected == "a number";
            let fits = match &v.kind {
                ValKind::Text(t) if number => return Err(errors::number_as_string(self.blame(v.span), t)),
                ValKind::Bool(_) => !number,
                ValKind::Number(_) | ValKind::Word(_) => number,
                // One value per axis of a picture: `[1, same]`.
                ValKind::List(items) => {
                    use ValKind::{Bool, Func, List, Tensor, Text};
                    number && !items.iter().any(|i| matches!(i.kind, Bool(_) | Func(_) | List(_) | Tensor(_) | Text(_)))
                }
                ValKind::Func(_) | ValKind::Text(_) => false,
                _ => true,
            };
            if !fits {
                let expected = format!("{expected} for `{}` of `{}`", p.name.text, def.name.text);
                return Err(errors::wrong_type(self.blame(v.span), &expected, v));
            }
        }
        Ok(())
    }

    /// `if(c) { … } else { … }`: chosen now where `c` is known, by `select` where it depends on the step or on data.
    fn choose(&mut self, c: &Call, span: Span) -> Res<Val> {
        let condition = match c.args.as_deref() {
            Some([Arg { name: None, value }]) => self.eval(value)?,
            _ => return Err(errors::lacks(self.blame(span), "if", "one condition", "if(k > 1) { … } else { … }")),
        };
        let empty = Vec::new();
        let (yes, no) = (c.body.as_ref().unwrap_or(&empty), c.otherwise.as_ref().unwrap_or(&empty));
        if let Some(n) = condition.as_number() {
            let chosen = if n != 0.0 { yes } else { no };
            let last = self.statements(chosen)?;
            return Ok(last.unwrap_or(Val::new(ValKind::List(vec![]), span)));
        }
        let at = self.blame(span);
        let a = self.statements(yes)?.ok_or_else(|| errors::no_select(at))?;
        let b = self.statements(no)?.ok_or_else(|| errors::no_select(at))?;
        self.elementwise("select", &[condition, a, b], span)
    }

    /// `sum[d](a * b)`: one fused multiplication and addition per term where `d` is in both factors.
    fn contraction(&mut self, axes: &[Expr], value: &Expr, span: Span) -> Res<Option<Val>> {
        let ExprKind::Binary(first, rest) = &value.kind else { return Ok(None) };
        if !rest.iter().all(|(op, _, _)| *op == BinaryOp::Mul) {
            return Ok(None);
        }
        let mut a = self.eval(first)?;
        for (_, _, e) in &rest[..rest.len() - 1] {
            let w = self.eval(e)?;
            a = self.elementwise("mul", &[a, w], span)?;
        }
        let b = self.eval(&rest[rest.len() - 1].2)?;
        if let (ValKind::Tensor(x), ValKind::Tensor(y)) = (&a.kind, &b.kind) {
            let labels = self.labels(axes)?;
            if let Some(t) = self.contract(x, y, &labels, span)? {
                return Ok(Some(Val::tensor(t, span)));
            }
        }
        let product = self.elementwise("mul", &[a, b], span)?;
        Ok(Some(self.builtin("sum", vec![(None, product)], Some(axes), span)?))
    }

    /// The labels that `[d]`, `[batch, ..]` name.
    pub fn labels(&mut self, axes: &[Expr]) -> Res<Vec<Label>> {
        let mut out = Vec::new();
        for (i, e) in axes.iter().enumerate() {
            let name = |e: &Expr| bounded(e).map(|(n, _)| n.to_string()).or(e.name().map(str::to_string));
            if let Some(n) = name(e)
                && let Some(first) = axes[..i].iter().find(|x| name(x).as_ref() == Some(&n))
            {
                return Err(errors::duplicate(first.span, self.blame(e.span), "the index", &n));
            }
            match &e.kind {
                ExprKind::Rest => {
                    let rest = self.frame().labels.iter().map(|(l, _)| l.clone());
                    out.extend(rest.filter(|l| matches!(l, Label::Rest(_))).collect::<Vec<_>>());
                }
                ExprKind::Name(n) if n == "batch" => out.push(Label::Batch),
                ExprKind::Name(n) => out.push(Label::Index(n.clone())),
                _ if bounded(e).is_some() => out.extend(bounded(e).map(|(n, _)| Label::Index(n.to_string()))),
                _ => return Err(errors::not_a_statement(self.blame(e.span), "the axes of a reduction")),
            }
        }
        Ok(out)
    }
}

/// A combinator has a parameter `body`.
fn takes_body(def: &Def) -> bool {
    def.params.iter().any(|p| p.name.text == "body")
}
