//! Assertions of a definition about its settings and sizes.
//!
//! In: a condition and its message. Out: E0110 where it does not hold. Invariant: the message shows the numbers that the
//! condition was about.

use super::elaborate::{Elaborator, Res};
use super::errors::{self, Boxed};
use super::value::Val;
use crate::syntax::ast::{Expr, Str};

impl Elaborator<'_> {
    pub fn assertion(&mut self, condition: &Expr, message: Option<&Str>) -> Res<()> {
        let v = self.eval(condition)?;
        if v.as_number() != Some(0.0) {
            return Ok(());
        }
        let text = message.map_or("an assertion does not hold", |m| m.text.as_str());
        let d = errors::promise(self.blame(condition.span), &self.filled_in(text));
        // A message with numbers of its own needs no others.
        Err(if text.contains('{') { d } else { self.with_numbers(d, condition) })
    }

    /// `d`, with the numbers behind the names of a condition that does not hold.
    fn with_numbers(&self, d: Boxed, condition: &Expr) -> Boxed {
        let mut shown: Vec<String> = Vec::new();
        super::items::names_in_expr(condition, &mut |name, _| {
            let text = self.lookup(name).and_then(Val::as_number).map(|n| format!("`{name}` is {n}"));
            shown.extend(text.filter(|t| !shown.contains(t)));
        });
        if shown.is_empty() { d } else { Box::new((*d).note(format!("here {}", shown.join(", ")))) }
    }

    /// `{groups}` in a message becomes the number of that name.
    fn filled_in(&self, text: &str) -> String {
        let vars = self.frames.last().map(|f| f.vars.iter()).into_iter().flatten();
        let numbers = vars.filter_map(|(name, v)| Some((name, v.as_number()?)));
        numbers.fold(text.to_string(), |text, (name, n)| text.replace(&format!("{{{name}}}"), &n.to_string()))
    }
}
