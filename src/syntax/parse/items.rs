//! Items.
//!
//! In: the range of one item. Out: [`Item`], or the error that prevents it. Invariant: the first word decides which rule
//! reads the item, so an error speaks of the item that was meant.

use super::{Built, Reader, Rule};
use crate::syntax::ast::{Call, Def, DefKind, Expr, ExprKind, Ident, Item, ItemKind, ParamDecl, Port};
use crate::syntax::expected::{self, Mistake};
use crate::syntax::skeleton::{Form, Skeleton};
use pest::iterators::{Pair, Pairs};
use std::ops::Range;
use std::sync::Arc;

fn def_kind(word: &str) -> Option<DefKind> {
    Some(match word {
        "fn" => DefKind::Fn,
        "init" => DefKind::Init,
        "block" => DefKind::Block,
        "op" => DefKind::Op,
        "loss" => DefKind::Loss,
        "optimizer" => DefKind::Optimizer,
        "model" => DefKind::Model,
        _ => return None,
    })
}

impl Reader<'_> {
    pub(super) fn item(&mut self, range: Range<usize>) -> Built<Item> {
        let scan = Arc::clone(&self.scan);
        let text = &scan.text[range.clone()];
        let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (word, rest) = text.split_at(length);
        let next = rest.trim_start_matches([' ', '\t']).bytes().next().unwrap_or(0);
        let skeleton =
            Skeleton::new(&scan, self.source, range, if word == "const" { Form::Statement } else { Form::Head });
        let named = next.is_ascii_alphabetic() || next == b'_';
        // an item word without a name is an unfinished item, unless it goes on like a statement
        let begins = named || !matches!(next, b'=' | b'.' | b'-' | b':' | b'[');
        let (rule, mistake) = match word {
            "use" => (Rule::use_item, Mistake::Use),
            "const" if begins => (Rule::const_item, Mistake::Const),
            "data" if begins => (Rule::data_item, Mistake::Data),
            "train" if begins => (Rule::train_item, Mistake::Train),
            "search" | "compress" if named => return Err(expected::later(self.file, &skeleton, word)),
            _ => match def_kind(word) {
                Some(kind) if begins => (Rule::def_item, Mistake::Def(kind)),
                _ => {
                    for open in skeleton.bodies() {
                        self.body(open);
                    }
                    return Err(expected::no_item(self.file, &skeleton, word));
                }
            },
        };
        let pairs = self.grammar(rule, &skeleton, mistake)?;
        let kind = match rule {
            Rule::use_item => self.use_item(&skeleton, pairs),
            Rule::const_item => self.const_item(&skeleton, pairs)?,
            Rule::data_item => self.data_item(&skeleton, pairs)?,
            Rule::train_item => self.train_item(&skeleton, pairs)?,
            _ => self.def_item(&skeleton, def_kind(word).expect("invariant: a definition's word"), pairs)?,
        };
        Ok(Item { kind, span: skeleton.whole(self.file) })
    }

    fn use_item(&mut self, skeleton: &Skeleton, mut pairs: Pairs<'_, Rule>) -> ItemKind {
        let path = pairs.find(|p| p.as_rule() == Rule::string).expect("invariant: the grammar asks for a path");
        ItemKind::Use { path: self.string(skeleton, &path) }
    }

    fn const_item(&mut self, skeleton: &Skeleton, mut pairs: Pairs<'_, Rule>) -> Built<ItemKind> {
        let name = self.next_name(skeleton, &mut pairs);
        let mut values = self.expressions(skeleton, pairs)?;
        let value = values.pop().expect("invariant: the grammar asks for a value");
        Ok(ItemKind::Const { name, value: Arc::new(value) })
    }

    fn data_item(&mut self, skeleton: &Skeleton, mut pairs: Pairs<'_, Rule>) -> Built<ItemKind> {
        let name = self.next_name(skeleton, &mut pairs);
        let callee = self.next_name(skeleton, &mut pairs);
        let (mut args, mut span, mut body) = (None, callee.span, Vec::new());
        for pair in pairs {
            match pair.as_rule() {
                Rule::args => {
                    span = span.to(self.span(skeleton, &pair));
                    args = Some(self.args(skeleton, pair)?);
                }
                Rule::body => body = self.body_of(skeleton, &pair),
                _ => {}
            }
        }
        let kind = match args {
            None => ExprKind::Name(callee.text),
            Some(_) => ExprKind::Call(Box::new(Call { callee, axes: None, args, body: None, otherwise: None })),
        };
        Ok(ItemKind::Data { name, reader: Expr { kind, span }, body })
    }

    fn train_item(&mut self, skeleton: &Skeleton, pairs: Pairs<'_, Rule>) -> Built<ItemKind> {
        let (mut names, mut args, mut body) = (Vec::new(), Vec::new(), Vec::new());
        for pair in pairs {
            match pair.as_rule() {
                Rule::name => names.push(self.ident(skeleton, &pair)),
                Rule::args => args = self.args(skeleton, pair)?,
                Rule::body => body = self.body_of(skeleton, &pair),
                _ => {}
            }
        }
        let mut names = names.into_iter();
        let mut next = || names.next();
        let (Some(model), Some(data)) = (next(), next()) else {
            panic!("invariant: the grammar asks for a model and data");
        };
        Ok(ItemKind::Train { model, args, data, alias: next(), body })
    }

    fn def_item(&mut self, skeleton: &Skeleton, kind: DefKind, mut pairs: Pairs<'_, Rule>) -> Built<ItemKind> {
        let name = self.next_name(skeleton, &mut pairs);
        let mut def = Def { kind, name, params: vec![], inputs: vec![], outputs: vec![], body: vec![] };
        for pair in pairs {
            match pair.as_rule() {
                Rule::params => def.params = self.params(skeleton, pair)?,
                Rule::inputs => def.inputs = self.ports(skeleton, pair)?,
                Rule::outputs => def.outputs = self.ports(skeleton, pair)?,
                Rule::body => def.body = self.body_of(skeleton, &pair),
                _ => {}
            }
        }
        Ok(ItemKind::Def(Arc::new(def)))
    }

    fn params(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Vec<ParamDecl>> {
        let mut params = Vec::new();
        self.elements(skeleton, pair, Rule::more_params, &mut |r, skeleton, pair| {
            let mut parts = pair.into_inner();
            let name = r.next_name(skeleton, &mut parts);
            params.push(ParamDecl { name, default: r.expressions(skeleton, parts)?.pop() });
            Ok(())
        })?;
        Ok(params)
    }

    fn ports(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Vec<Port>> {
        let mut ports = Vec::new();
        for pair in pair.into_inner() {
            let span = self.span(skeleton, &pair);
            let mut port = Port { name: None, ty: None, span };
            for part in pair.into_inner() {
                match part.as_rule() {
                    Rule::name => port.name = Some(self.ident(skeleton, &part)),
                    _ => port.ty = Some(self.kind(skeleton, part)?),
                }
            }
            if let Some(ty) = port.ty.take_if(|t| port.name.is_none() && t.args.is_empty() && t.dims.is_none()) {
                port.name = ty.kind; // a lone word: `check` decides whether it is a name or a kind
            }
            ports.push(port);
        }
        Ok(ports)
    }

    fn next_name(&mut self, skeleton: &Skeleton, pairs: &mut Pairs<'_, Rule>) -> Ident {
        let pair = pairs.find(|p| p.as_rule() == Rule::name);
        self.ident(skeleton, &pair.expect("invariant: the grammar asks for a name"))
    }
}
