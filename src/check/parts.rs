//! What a dot reads from a layer: its weights, and other forms of it.
//!
//! In: a kept layer and a name. Out: a tensor or a layer. Invariant: no weight is made here; a form shares those of its layer.

use super::elaborate::{Elaborator, Res, join};
use super::errors;
use super::value::{Func, Val, ValKind};
use crate::base::Span;
use crate::syntax::ast::{Expr, ExprKind, Ident};
use std::collections::BTreeMap;
use std::rc::Rc;

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
        let ValKind::Func(Func::Def { def, path: Some(path), .. }) = &v.kind else {
            return Err(errors::unsupported(self.blame(span), &format!("`.{}`", field.text)));
        };
        if let Some(weight) = self.weights.get(&join(path, &field.text)) {
            return Ok(Val::tensor(weight.tensor.clone(), span));
        }
        let form = format!("{}_{}", def.name.text, field.text);
        if let Some(def) = self.items.defs.get(&form).cloned() {
            let settings = Rc::new(BTreeMap::from([("layer".to_string(), v)]));
            return Ok(Val::new(ValKind::Func(Func::Def { def, settings, body: None, path: None, span }), span));
        }
        let prefix = format!("{path}.");
        let known: Vec<&str> = self.weights.keys().filter_map(|w| w.strip_prefix(&prefix)).collect();
        Err(errors::no_such_part(self.blame(field.span), &def.name.text, &field.text, &known))
    }
}
