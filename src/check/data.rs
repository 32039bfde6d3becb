//! `data` items: reader, fields, transforms, split.
//!
//! In: the tree of the item. Out: a [`DataSpec`]. Invariant: names of readers, sources and transforms are passed on as
//! written; the runtime, which has them, checks them.

use super::elaborate::{Elaborator, Res};
use super::entries::statement;
use super::errors;
use super::spec::PARTS;
use super::spec::{Call as SpecCall, DataSpec, FIRST_SYMBOL, FieldSpec, Kind as FieldKind, Literal, Part, SplitSpec};
use super::value::{Kind, Val, ValKind, is_word};
use crate::base::{Extent, Span};
use crate::syntax::ast::{Call, Expr, ExprKind, Ident, Stmt, StmtKind, Target, TypeExpr, UnaryOp, Unit};

/// What `stratify`, written at `span`, names is a field of classes.
fn classes_of_split(split: &SplitSpec, fields: &[FieldSpec], span: Span) -> Res<()> {
    let classes = fields.iter().filter(|f| matches!(f.kind, FieldKind::Class(_)));
    let classes: Vec<&str> = classes.map(|f| f.name.as_str()).collect();
    match &split.stratify {
        Some(field) if !classes.contains(&field.as_str()) => Err(errors::no_such_classes(span, field, &classes)),
        _ => Ok(()),
    }
}

fn field_once(fields: &[FieldSpec], name: &Ident, written: Span) -> Res<()> {
    match fields.iter().find(|f| f.name == name.text) {
        Some(first) => Err(errors::duplicate_setting(first.span, name.span, written, "the field", &name.text)),
        None => Ok(()),
    }
}

/// A number that the data tells.
fn new_symbol(name: String, symbols: &mut Vec<String>) -> Extent {
    symbols.push(name);
    Extent::Sym(FIRST_SYMBOL + symbols.len() as u32 - 1)
}

fn is_part(path: &[Ident]) -> bool {
    matches!(path, [name] if PARTS.contains(&name.text.as_str()))
}

impl Elaborator<'_> {
    pub fn data(&mut self, name: &Ident, reader: &Expr, body: &[Stmt]) -> Res<DataSpec> {
        let reader = self.spec_call(reader)?;
        let given = reader.name == "given";
        let mut fields: Vec<FieldSpec> = Vec::new();
        let mut split = SplitSpec { span: name.span, ..SplitSpec::default() };
        let (mut stratify, mut symbols, mut bound, mut divided) = (None, Vec::new(), Vec::<&Ident>::new(), None);
        for stmt in body {
            match &stmt.kind {
                StmtKind::Bind { targets, value } if given && targets.len() == 1 && targets[0].ty.is_some() => {
                    return Err(errors::given_source(value.span, &name.text, &targets[0].path[0].text));
                }
                StmtKind::Bind { targets, value } if targets.len() == 1 && targets[0].ty.is_some() => {
                    self.declare_symbols(targets[0].ty.as_deref(), &mut symbols);
                    let mut field = self.field_spec(&targets[0], Some(value))?;
                    if field.kind == FieldKind::Class(None) {
                        field.kind = FieldKind::Class(Some(new_symbol(format!("K_of_{}", field.name), &mut symbols)));
                    }
                    field_once(&fields, &targets[0].path[0], stmt.span)?;
                    fields.push(field);
                }
                StmtKind::Bind { targets, value } if targets.len() == 1 && is_part(&targets[0].path) => {
                    return Err(errors::loose_share(stmt.span, &targets[0].path[0].text, value));
                }
                StmtKind::Bind { targets, value } if targets.len() == 1 && targets[0].path.len() == 1 => {
                    let name = &targets[0].path[0];
                    if let Some(first) = bound.iter().find(|n| n.text == name.text) {
                        let again = (name.span, stmt.span);
                        return Err(errors::duplicate_setting(first.span, again.0, again.1, "the name", &name.text));
                    }
                    bound.push(name);
                    let v = self.eval(value)?;
                    self.frame().vars.insert(name.text.clone(), v);
                }
                StmtKind::Field { name, ty } if given => {
                    field_once(&fields, name, stmt.span)?;
                    self.declare_symbols(Some(ty.as_ref()), &mut symbols);
                    let (kind, shape) = self.field_type(ty)?;
                    fields.push(FieldSpec {
                        name: name.text.clone(),
                        span: name.span,
                        kind,
                        image: is_word(ty, "image"),
                        shape,
                        source: None,
                        transforms: vec![],
                    });
                }
                StmtKind::Field { name, .. } => {
                    return Err(errors::missing_entry(
                        stmt.span,
                        &format!("the field `{}`", name.text),
                        "source",
                        &format!("{}: [4] = columns(1..4)", name.text),
                    ));
                }
                StmtKind::Expr(Expr { kind: ExprKind::Call(c), span }) if c.callee.text == "split" => {
                    if let Some(first) = divided.replace(*span) {
                        return Err(errors::duplicate_setting(first, *span, statement(stmt, body), "the", "split"));
                    }
                    split = self.split_spec(c, *span)?;
                    let by = c.args.iter().flatten().find(|a| a.name.as_ref().is_some_and(|n| n.text == "stratify"));
                    stratify = by.map(|a| a.value.span);
                }
                _ => return Err(errors::not_a_statement(stmt.span, "a `data` item")),
            }
        }
        if fields.is_empty() {
            return Err(errors::missing_entry(
                name.span,
                &format!("`{}`", name.text),
                "fields",
                "x: [4] = columns(1..4)",
            ));
        }
        classes_of_split(&split, &fields, stratify.unwrap_or(split.span))?;
        if split.train == Part::None {
            split.train = Part::Share(1.0);
        }
        Ok(DataSpec { name: name.text.clone(), span: name.span, reader, fields, split, symbols })
    }

    /// Upper-case names in a field's type that nothing has bound: the data will tell what they are.
    fn declare_symbols(&mut self, ty: Option<&TypeExpr>, symbols: &mut Vec<String>) {
        let mut names = Vec::new();
        let types = ty.iter().flat_map(|t| t.args.iter().chain(t.dims.iter().flatten()));
        types.for_each(|e| super::items::names_in_expr(e, &mut |name, span| names.push((name, span))));
        for (name, span) in names {
            let free = self.lookup(name).is_none() && !self.items.consts.contains_key(name);
            if free && name.starts_with(char::is_uppercase) {
                let extent = new_symbol(name.to_string(), symbols);
                let dim = Val::new(ValKind::Dim { name: name.to_string(), extent }, span);
                self.frame().vars.insert(name.to_string(), dim);
            }
        }
    }

    fn field_spec(&mut self, target: &Target, value: Option<&Expr>) -> Res<FieldSpec> {
        let name = &target.path[0];
        let ty = target.ty.as_ref().unwrap_or_else(|| panic!("a field has a type"));
        let (kind, shape) = self.field_type(ty)?;
        let (mut source, mut transforms) = (None, Vec::new());
        if let Some(e) = value {
            match &e.kind {
                ExprKind::Pipe(first, rest) => {
                    source = Some(self.spec_call(first)?);
                    for (_, part) in rest {
                        transforms.push(self.spec_call(part)?);
                    }
                }
                _ => source = Some(self.spec_call(e)?),
            }
        }
        let image = is_word(ty, "image");
        Ok(FieldSpec { name: name.text.clone(), span: name.span, kind, image, shape, source, transforms })
    }

    fn field_type(&mut self, ty: &TypeExpr) -> Res<(FieldKind, Vec<Extent>)> {
        let kind = match self.kind_of(ty)? {
            None | Some(Kind::Real) => FieldKind::Real,
            Some(Kind::Class(k)) => FieldKind::Class(k),
            Some(Kind::Token(k)) => FieldKind::Token(k),
            Some(other) => {
                let word = ty.kind.as_ref().map_or(ty.span, |w| w.span);
                return Err(errors::no_field_kind(word, &other, ty.dims.is_some()));
            }
        };
        let mut shape = Vec::new();
        for d in ty.dims.iter().flatten() {
            shape.push(self.extent(d)?);
        }
        self.check_size(&shape, ty.span)?;
        Ok((kind, shape))
    }

    fn split_spec(&mut self, c: &Call, span: Span) -> Res<SplitSpec> {
        let mut split = SplitSpec { span, ..SplitSpec::default() };
        let known = ["train", "valid", "test", "stratify"];
        let mut total = 0.0;
        self.check_given_once(c)?;
        for a in c.args.iter().flatten() {
            let Some(n) = &a.name else {
                return Err(errors::nameless_share(a.value.span, c.args.as_deref().unwrap_or(&[])));
            };
            if n.text == "stratify" {
                match &a.value.kind {
                    ExprKind::Name(field) => split.stratify = Some(field.clone()),
                    _ => return Err(errors::wrong_type_words(a.value.span, "the name of a field", "something else")),
                }
                continue;
            }
            let slot = match n.text.as_str() {
                "train" => &mut split.train,
                "valid" => &mut split.valid,
                "test" => &mut split.test,
                other => return Err(errors::unknown_setting(n.span, other, "split", &known)),
            };
            *slot = match &a.value.kind {
                ExprKind::Name(w) if w == "given" => Part::Given,
                ExprKind::Number { value, unit: Some(Unit::Percent), .. } => {
                    total += value;
                    if *value <= 0.0 || total > 100.0 + 1e-9 {
                        return Err(errors::out_of_range(
                            a.value.span,
                            "a share",
                            "above 0%, and all of them at most 100%",
                            total,
                        ));
                    }
                    Part::Share(value / 100.0)
                }
                ExprKind::Number { unit: None, .. } => {
                    return Err(errors::missing_share(a.value.span, c.args.as_deref().unwrap_or(&[])));
                }
                _ => {
                    return Err(errors::wrong_type_words(
                        a.value.span,
                        "a share such as `80%`, or `given`",
                        "something else",
                    ));
                }
            };
        }
        Ok(split)
    }

    fn spec_call(&mut self, e: &Expr) -> Res<SpecCall> {
        match &e.kind {
            ExprKind::Name(n) => Ok(SpecCall { name: n.clone(), args: vec![], span: e.span }),
            ExprKind::Call(c) => {
                self.check_given_once(c)?;
                let mut args = Vec::new();
                for a in c.args.iter().flatten() {
                    args.push((a.name.as_ref().map(|n| n.text.clone()), self.literal(&a.value)?));
                }
                Ok(SpecCall { name: c.callee.text.clone(), args, span: e.span })
            }
            _ => Err(errors::wrong_type_words(e.span, "a reader or a transform", "something else")),
        }
    }

    fn literal(&mut self, e: &Expr) -> Res<Literal> {
        Ok(match &e.kind {
            ExprKind::Number { value, unit: Some(Unit::Percent), .. } => Literal::Share(value / 100.0),
            ExprKind::Number { value, .. } => Literal::Number(*value),
            ExprKind::Str(s) => Literal::Text(s.clone()),
            ExprKind::Name(n) if self.items.consts.contains_key(n) => Literal::Number(self.number(e)?),
            ExprKind::Name(n) => match self.lookup(n).and_then(|v| v.as_number()) {
                Some(value) => Literal::Number(value),
                None => Literal::Word(n.clone()),
            },
            ExprKind::Unary(UnaryOp::Neg, _) => Literal::Number(self.number(e)?),
            ExprKind::Range(a, b) => Literal::Range(self.number(a)?, self.number(b)?),
            ExprKind::List(items) => Literal::List(items.iter().map(|i| self.literal(i)).collect::<Res<_>>()?),
            _ => Literal::Number(self.number(e)?),
        })
    }
}
