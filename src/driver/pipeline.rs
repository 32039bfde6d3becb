//! The order of the stages, from text to checked items.
//!
//! In: the text of a file, and a way to read the files that it uses. Out: everything that the file says, or every diagnostic.
//! Invariant: this is the only place that knows which stage follows which; it reads no file itself.

use super::times::Times;
use crate::base::both::both;
use crate::base::{Diagnostic, FileId, Fix, Severity, SourceMap, Span};
use crate::check::{self, Checked, Gradients, NoGradient, library};
use crate::passes::autodiff;
use crate::syntax::{self, ast};
use std::collections::BTreeSet;

/// Reads a file named by `use`: its name as shown in messages, and its text.
pub type Loader<'a> = &'a dyn Fn(&str) -> Result<(String, String), Diagnostic>;

/// Bytes of text that are checked again to see whether fixes hold: a thousand mistakes in a page, three in 10 MB.
const MAX_TRIED: usize = 32 << 20;

/// The library's trees, parsed once.
pub struct Library {
    sources: SourceMap,
    files: Vec<(FileId, ast::File)>,
    times: Times,
}

/// A file after all checks.
pub struct Analysis {
    pub sources: SourceMap,
    /// The user's tree: the last file of `sources` that the command line names.
    pub tree: ast::File,
    pub file: FileId,
    pub checked: Checked,
    pub diagnostics: Vec<Diagnostic>,
    /// Of the first look at the text; trying fixes is not counted.
    pub times: Times,
}

impl Analysis {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

impl Library {
    /// Parses the files of `lib/`; a mistake in them is ours.
    pub fn load() -> Library {
        let mut sources = SourceMap::default();
        let texts = library::FILES.map(|(name, text)| (sources.add(name, text, true), text));
        let parse = |texts: &[(FileId, &str)]| {
            let tree = |&(id, text): &(FileId, &str)| match syntax::parse(id, text) {
                (file, errors) if errors.is_empty() => (id, file),
                (_, errors) => panic!("invariant broken: the library parses: {}", errors[0].short(&sources)),
            };
            texts.iter().map(tree).collect::<Vec<_>>()
        };
        let (half, rest) = texts.split_at(texts.len().div_ceil(2));
        let mut times = Times::default();
        let (mut files, rest) = times.lap("parse", || both(|| parse(half), || parse(rest)));
        files.extend(rest);
        Library { sources, files, times }
    }

    /// Checks a file; each fix that is offered has been tried: with it, its error is gone and no new one appears.
    pub fn analyse(&self, name: &str, text: &str, loader: Loader<'_>) -> Analysis {
        let mut analysis = self.look(name, text, loader);
        let mut diagnostics = std::mem::take(&mut analysis.diagnostics);
        let again = |fixed: &str| self.look(name, fixed, loader).diagnostics;
        keep_what_holds(text, analysis.file, &mut diagnostics, &again);
        analysis.diagnostics = diagnostics;
        analysis
    }

    /// Checks a file without trying its fixes.
    pub(super) fn look(&self, name: &str, text: &str, loader: Loader<'_>) -> Analysis {
        let mut sources = self.sources.clone();
        let mut times = self.times.clone();
        let mut diagnostics = Vec::new();
        let mut used: Vec<(FileId, ast::File)> = Vec::new();
        let file = sources.add(name, text, false);
        let (tree, errors) = times.lap("parse", || syntax::parse(file, text));
        diagnostics.extend(errors);
        let mut seen = BTreeSet::from([bare(name).to_string()]);
        self.follow(&tree, &mut sources, &mut seen, &mut used, &mut diagnostics, loader);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            let checked = Checked { items: Default::default(), data: vec![], runs: vec![] };
            return Analysis { sources, tree, file, checked, diagnostics, times };
        }
        let mut files: Vec<(FileId, &ast::File)> = self.files.iter().chain(&used).map(|(id, f)| (*id, f)).collect();
        files.push((file, &tree));
        let (checked, found) = times.lap("check", || check::check(&sources, &files, &mut differentiate));
        diagnostics.extend(found);
        Analysis { sources, tree, file, checked, diagnostics, times }
    }

    /// The files that `use` names, and those that they use, each once.
    fn follow(
        &self,
        tree: &ast::File,
        sources: &mut SourceMap,
        seen: &mut BTreeSet<String>,
        used: &mut Vec<(FileId, ast::File)>,
        diagnostics: &mut Vec<Diagnostic>,
        loader: Loader<'_>,
    ) {
        for item in &tree.items {
            let ast::ItemKind::Use { path } = &item.kind else { continue };
            match loader(&path.text) {
                Ok((name, text)) => {
                    if !seen.insert(bare(&name).to_string()) {
                        continue;
                    }
                    let id = sources.add(name, text.as_str(), false);
                    let (file, errors) = syntax::parse(id, &text);
                    diagnostics.extend(errors);
                    self.follow(&file, sources, seen, used, diagnostics, loader);
                    used.push((id, file));
                }
                Err(mut d) => {
                    d.labels.insert(0, crate::base::Label { span: path.span, text: "used here".into() });
                    diagnostics.push(d);
                }
            }
        }
    }
}

/// Of the fixes of every message the first that holds: with it, its error is gone and no new one appears. `look` gives the
/// messages about another text.
pub fn keep_what_holds(
    text: &str,
    file: FileId,
    diagnostics: &mut [Diagnostic],
    look: &dyn Fn(&str) -> Vec<Diagnostic>,
) {
    let before = errors_of(diagnostics);
    let mut tried = 0;
    for d in diagnostics {
        let candidates = std::mem::take(&mut d.fixes);
        let own = key(d);
        let mut holds = |fix: &Fix| {
            tried += text.len();
            if tried > MAX_TRIED {
                return false;
            }
            let Some(fixed) = apply(text, file, fix) else { return false };
            let after = errors_of(&look(&fixed));
            (d.severity == Severity::Warning || !after.contains(&own)) && after.is_subset(&before)
        };
        d.fixes = candidates.into_iter().find(&mut holds).into_iter().collect();
    }
}

/// Reverse mode for the checker, which stands below the passes.
pub fn differentiate(
    b: &mut crate::graph::Builder,
    loss: crate::ops::Value,
    wrt: &[crate::ops::Value],
) -> Result<Gradients, NoGradient> {
    match autodiff::differentiate(b, loss, wrt) {
        Ok(g) => Ok(Gradients { unreached: g.unreached.iter().map(|i| wrt[*i]).collect(), values: g.values }),
        Err(n) => Err(NoGradient { span: n.span, op: n.op }),
    }
}

/// A file beside the current folder is the same with and without `./`.
fn bare(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

type Key = (String, String);

fn key(d: &Diagnostic) -> Key {
    (d.code.to_string(), d.message.clone())
}

fn errors_of(diagnostics: &[Diagnostic]) -> BTreeSet<Key> {
    diagnostics.iter().filter(|d| d.severity == Severity::Error).map(key).collect()
}

/// The user's text with a fix applied, if all its edits lie in the user's file.
pub fn apply(text: &str, file: FileId, fix: &Fix) -> Option<String> {
    let mut edits: Vec<(Span, &str)> = fix.edits.iter().map(|e| (e.span, e.text.as_str())).collect();
    edits.sort_by_key(|(s, _)| std::cmp::Reverse(s.start));
    let mut out = text.to_string();
    for (span, new) in edits {
        if span.file != file || out.get(span.start as usize..span.end as usize).is_none() {
            return None;
        }
        out.replace_range(span.start as usize..span.end as usize, new);
    }
    Some(out)
}
