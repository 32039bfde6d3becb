//! What a dot reads from a layer: its weights, and other forms of it.
//!
//! In: a kept layer and a name. Out: a tensor or a layer. Invariant: no weight is made here; a form shares those of its layer.

use super::builtin::Args;
use super::elaborate::{Elaborator, Res, ended, join, keep};
use super::errors;
use super::value::{Func, Kept, Template, Val, ValKind};
use crate::base::Span;
use crate::syntax::ast::{Expr, ExprKind, Ident};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Elaborator<'_> {
    /// `embed.weight` is a weight of a kept layer; `embed.transposed` the definition `embedding_transposed`, whose setting `layer`
    /// it is.
    pub fn field(&mut self, base: &Expr, field: &Ident, span: Span) -> Res<Val> {
        if let ExprKind::Name(n) = &base.kind
            && let Some(v) = self.lookup(&format!("{n}.{}", field.text))
        {
            return Ok(v.clone());
        }
        if let ExprKind::Name(n) = &base.kind
            && self.lookup(n).is_none()
            && !self.items.defs.contains_key(n)
        {
            return Err(self.undefined(n, base.span));
        }
        let v = self.eval(base)?;
        let ValKind::Func(Func::Def { def, path: Some(kept), .. }) = &v.kind else {
            return Err(errors::wrong_type(self.blame(span), &format!("a kept layer before `.{}`", field.text), &v));
        };
        if let Some(weight) = self.weights.get(&join(&kept.path, &field.text)) {
            return Ok(Val::tensor(weight.tensor.clone(), span));
        }
        let form = format!("{}_{}", def.name.text, field.text);
        if let Some(def) = self.items.defs.get(&form).cloned() {
            let settings = Arc::new(BTreeMap::from([("layer".to_string(), v)]));
            return Ok(Val::new(ValKind::Func(Func::Def { def, settings, body: None, path: None, span }), span));
        }
        let prefix = format!("{}.", kept.path);
        let known: Vec<&str> = self.weights.keys().filter_map(|w| w.strip_prefix(&prefix)).collect();
        Err(errors::no_such_part(self.blame(field.span), &def.name.text, &field.text, &known))
    }

    /// `keep(layer, "_l", 1)`: the layer keeps its weights under the joined name; without one, under that of the definition
    /// it stands in. Of a body, this holds for its first layer, whenever it is applied.
    pub(super) fn keep(&mut self, args: Args, span: Span) -> Res<Val> {
        let Some(((None, layer), parts)) = args.split_first() else {
            return Err(errors::ill_shaped(self.blame(span), "`keep` takes a layer and its name"));
        };
        let ValKind::Func(mut func) = layer.kind.clone() else {
            return Err(errors::wrong_type(self.blame(layer.span), "a layer to keep", layer));
        };
        if let (Func::Template(t), []) = (&func, parts) {
            func = Func::Template(Arc::new(Template { nameless: true, ..(**t).clone() }));
        }
        let parts: Vec<Val> = parts.iter().map(|(_, part)| part.clone()).collect();
        let kept = self.joined_name(&parts)?;
        keep(&mut func, kept);
        Ok(Val::new(ValKind::Func(func), span))
    }

    /// The path of something whose name is put together of texts and whole numbers.
    pub(super) fn joined_name(&mut self, parts: &[Val]) -> Res<Kept> {
        let mut name = String::new();
        for part in parts {
            match (&part.kind, part.as_number()) {
                (ValKind::Text(text), _) if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => name += text,
                (_, Some(n)) if n >= 0.0 && n.fract() == 0.0 => name += &n.to_string(),
                _ => {
                    let wanted = "a part of a name: a text of letters, digits and `_`, or a whole number";
                    return Err(errors::wrong_type(self.blame(part.span), wanted, part));
                }
            }
        }
        Ok(match name.is_empty() {
            true => Kept { path: self.frame().path.clone(), within: self.frame().origin },
            false => self.kept(&name),
        })
    }

    /// `backward(body, x)`: the body applied to x, where every scan in it runs the other way; its weights end in `_reverse`.
    pub(super) fn backwards(&mut self, args: Args, span: Span) -> Res<Val> {
        let [body, x] = self.positional("backward", &args, span)?;
        let ValKind::Func(f) = &body.kind else {
            return Err(errors::wrong_type(self.blame(span), "a body `{ … }`", &body));
        };
        let path = ended(&self.frame().path, "_reverse");
        let (path, counters) = self.swap_path(path, Default::default());
        self.backward = !self.backward;
        let out = self.apply_func(f, vec![x], span);
        self.backward = !self.backward;
        self.swap_path(path, counters);
        out
    }
}
