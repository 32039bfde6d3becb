//! From the tree to typed graphs: names, kinds, shapes, units, and the elaboration of every definition.
//!
//! In: the files' trees (the user's and `lib/*.nn`). Out: graphs and specifications, or all diagnostics at once.
//! Invariant: nothing here knows a name that `lib/` defines.

pub mod signature;
pub mod spec;
pub mod value;
pub mod errors;
pub mod twice;
pub mod items;
pub mod library;
pub mod origins;
pub mod elaborate;
pub mod asserts;
pub mod weights;
pub mod trace;
pub mod margin;
pub mod sums;
pub mod window;
pub mod equation;
pub mod tensor;
pub mod reduce;
pub mod unit;
pub mod index;
pub mod expr;
pub mod functions;
pub mod builtin;
pub mod arrange;
pub mod padding;
pub mod rows;
pub mod parts;
pub mod sources;
pub mod foreign;
pub mod entries;
pub mod call;
pub mod step;
pub mod scan;
pub mod ports;
pub mod schedule;
pub mod optimizer;
pub mod data;
pub mod train;
pub mod terms;
pub mod loss;
pub mod forward;
pub mod program;
pub mod undefined;
pub mod unused;

use crate::base::{Diagnostic, FileId, Severity, SourceMap, Span};
use crate::syntax::ast::{DefKind, File, ItemKind};
use elaborate::Elaborator;
use items::Items;
pub use program::{Checked, Differentiate, FirstValues, Gradients, NoGradient, Run, Training};
use train::TrainItem;

/// Checks a user's file (the last of `files`) with the library before it. Returns what could be understood, and everything
/// that is wrong with it; with an error among the diagnostics, the runs may be incomplete.
pub fn check(
    sources: &SourceMap,
    files: &[(FileId, &File)],
    differentiate: Differentiate<'_>,
) -> (Checked, Vec<Diagnostic>) {
    let (items, errors) = Items::gather(sources, files);
    let mut found: Vec<Diagnostic> = errors.into_iter().map(|e| *e).collect();
    let users: Vec<&(FileId, &File)> = files.iter().filter(|(id, _)| !sources.file(*id).library).collect();
    let mut models = 0;
    for (_, file) in &users {
        for item in &file.items {
            if let ItemKind::Def(d) = &item.kind {
                models += usize::from(d.kind == DefKind::Model);
                undefined::find(&items, d, &mut found);
                unused::within(d, &mut found);
            }
        }
    }
    if models == 0
        && let Some((id, _)) = users.last()
    {
        let end = sources.file(*id).text.len();
        found.push(*errors::no_model(Span::new(*id, end, end)));
    }
    let (data, runs) = specifications(&items, &users, &mut found);
    let checked = Checked { items, data, runs };
    let wrong = |found: &[Diagnostic]| found.iter().any(|d| d.severity == Severity::Error);
    // What contains itself has no end.
    if found.iter().all(|d| d.code != errors::CYCLE) {
        let before = wrong(&found);
        for run in &checked.runs {
            for d in checked.try_run(run, differentiate) {
                // A place that is wrong already would be told again.
                if !before || (d.severity == Severity::Error && !found.iter().any(|f| overlap(f, &d))) {
                    found.push(d);
                }
            }
        }
        if !before {
            unused::definitions(&checked, &users, &mut found);
        }
    }
    found.dedup();
    (checked, found)
}

fn overlap(a: &Diagnostic, b: &Diagnostic) -> bool {
    let (Some(a), Some(b)) = (a.span(), b.span()) else { return false };
    a.file == b.file && a.start < b.end && b.start < a.end
}

/// E0416 for the parts that a run asks for and its data does not have.
fn missing_parts<'a>(data: &'a spec::DataSpec, run: &'a spec::TrainSpec) -> impl Iterator<Item = errors::Boxed> + 'a {
    let expects = run.expects.iter().map(|e| (&e.part, &e.metric, e.span));
    let plateaus = run.stop.iter().filter_map(|s| match s {
        spec::Stop::Plateau { span, part, metric, .. } => Some((part, metric, *span)),
        _ => None,
    });
    let asked = expects.chain(plateaus);
    asked.filter(|(part, ..)| data.split.part(part) == spec::Part::None).map(|(p, m, span)| errors::no_part(span, p, m))
}

fn specifications(
    items: &Items,
    users: &[&(FileId, &File)],
    found: &mut Vec<Diagnostic>,
) -> (Vec<spec::DataSpec>, Vec<Run>) {
    let (mut data, mut runs, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let all = || users.iter().flat_map(|(_, f)| &f.items);
    for item in all() {
        if let ItemKind::Data { name, reader, body } = &item.kind {
            names.push(name.text.clone());
            match Elaborator::new(items, &name.text, false).data(name, reader, body) {
                Ok(d) => data.push(d),
                Err(e) => found.push(*e),
            }
        }
    }
    for item in all() {
        if let ItemKind::Train { model, args, data: on, alias, body } = &item.kind {
            let item = TrainItem { model, args, data: on, alias: alias.as_ref(), body };
            match Elaborator::new(items, &model.text, false).train(&item, &names) {
                Ok(run) => runs.push(run),
                Err(e) => found.push(*e),
            }
        }
    }
    for run in &runs {
        let Some(spec) = data.iter().find(|d| d.name == run.spec.data) else { continue };
        found.extend(missing_parts(spec, &run.spec).map(|d| *d));
    }
    runs.retain(|r| data.iter().any(|d| d.name == r.spec.data));
    (data, runs)
}
