//! How much memory a run may take, and whether its plan stays below it.
//!
//! In: what the system tells about memory; the programs of a run. Out: a limit in bytes, or E0803 with the largest tensors.
//! Invariant: nothing is allocated here, and no machine is made before its programs were added to a [`Budget`].

use crate::base::shape::{display_bytes, display_shape};
use crate::base::{Diagnostic, Label, Span};
use crate::loops::ir::{Home, Program};
use crate::loops::plan;
use std::collections::BTreeMap;
use std::path::Path;

/// The part of the machine's memory that a run may take: the rest is for data files being read, and for others.
const SHARE: f64 = 0.8;

/// The tensors that E0803 shows.
const SHOWN: usize = 5;

/// 80 % of the machine's memory, or of what the control group permits, whichever is less; no limit where neither is known.
pub fn default_limit() -> u64 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    limit_of(&read)
}

/// [`default_limit`] of a system whose files are `read`.
pub fn limit_of(read: &dyn Fn(&Path) -> Option<String>) -> u64 {
    let meminfo = read(Path::new("/proc/meminfo")).unwrap_or_default();
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let total = total.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).map(|n| n * 1024);
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let caps = groups.lines().filter_map(|line| group_limit(line, read));
    let least = caps.chain(total).min();
    least.map_or(u64::MAX, |n| (n as f64 * SHARE) as u64)
}

/// The least limit of a control group and those around it; `line` is `0::/a/b` (version 2) or `4:memory:/a/b` (version 1).
fn group_limit(line: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        c if c.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return None,
    };
    // Inside a container the group's own path may not exist; its root then holds the limit.
    let ancestors = Path::new(group).ancestors().map(|g| Path::new(root).join(g.strip_prefix("/").unwrap_or(g)));
    ancestors.filter_map(|folder| read(&folder.join(file))?.trim().parse().ok()).min()
}

/// A program of a run with the numbers behind its symbols; the first symbol is the batch.
pub struct Part<'a> {
    pub program: &'a Program,
    pub symbols: Vec<u64>,
}

/// What may still be taken.
pub struct Budget {
    pub limit: u64,
    /// What the runs before hold: all runs of a file are made before the first one starts.
    held: u64,
}

/// A tensor of the table: its type, its bytes.
type Sizes = BTreeMap<String, (String, u64)>;

impl Budget {
    /// `asked` is `--memory-limit`.
    pub fn new(asked: Option<u64>) -> Budget {
        Budget { limit: asked.unwrap_or_else(default_limit), held: 0 }
    }

    /// Takes what the programs of one run need; tensors of one name are the same memory. `span` is the run.
    ///
    /// Errors: E0803 where it is more than there is.
    pub fn take(&mut self, parts: &[Part<'_>], span: Span) -> Result<(), Diagnostic> {
        let batch = parts.first().and_then(|p| p.symbols.first().copied()).unwrap_or(1);
        let placed = |mut error: Diagnostic| {
            error.labels.push(Label { span, text: format!("with a batch of {batch}") });
            error
        };
        let (needed, tensors) = needed(parts, batch).map_err(placed)?;
        if needed <= self.limit.saturating_sub(self.held) {
            self.held += needed;
            return Ok(());
        }
        let text = format!(
            "this run needs {} of memory, the limit is {}{}",
            display_bytes(needed),
            display_bytes(self.limit),
            if self.held == 0 { String::new() } else { format!(", {} are taken", display_bytes(self.held)) }
        );
        let error = Diagnostic::error("E0803", span, text, format!("with a batch of {batch}"));
        let error = error.note(table(&tensors));
        Err(match self.fitting_batch(parts, batch) {
            Some((fits, bytes)) => {
                error.note(format!("a batch of {fits} fits, with {}: type `batch = {fits}`", display_bytes(bytes)))
            }
            None => error.note("no batch fits: make the layers smaller, or raise `--memory-limit`"),
        })
    }

    /// The largest half, quarter, … of `batch` that fits, with what it needs.
    fn fitting_batch(&self, parts: &[Part<'_>], batch: u64) -> Option<(u64, u64)> {
        let halves = std::iter::successors(Some(batch / 2), |b| Some(b / 2)).take_while(|b| *b > 0);
        let mut sizes = halves.filter_map(|b| Some((b, needed(parts, b).ok()?.0)));
        sizes.find(|(_, bytes)| *bytes <= self.limit.saturating_sub(self.held))
    }
}

/// The bytes of all parts at this batch: the arenas, and each tensor from outside once.
fn needed(parts: &[Part<'_>], batch: u64) -> Result<(u64, Sizes), Diagnostic> {
    let (mut bytes, mut outside, mut tensors) = (0u64, BTreeMap::new(), Sizes::new());
    for part in parts {
        let mut symbols = part.symbols.clone();
        if let Some(first) = symbols.first_mut() {
            *first = batch.min(*first);
        }
        let plan = plan::plan(part.program, &symbols)?;
        bytes = bytes.saturating_add(plan.arena_bytes);
        for (buffer, size) in part.program.buffers.iter().zip(plan.sizes) {
            if buffer.home == Home::Outside {
                outside.insert((buffer.name.as_str(), size), size);
            }
            let ty = format!("{}[{}]", buffer.dtype, display_shape(&buffer.shape, &part.program.symbols));
            tensors.insert(buffer.name.clone(), (ty, size));
        }
    }
    bytes = outside.values().fold(bytes, |sum, size| sum.saturating_add(*size));
    Ok((bytes, tensors))
}

/// The largest tensors, largest first.
fn table(tensors: &Sizes) -> String {
    let mut rows: Vec<(&str, &str, u64)> =
        tensors.iter().map(|(name, (ty, bytes))| (name.as_str(), ty.as_str(), *bytes)).collect();
    rows.sort_by_key(|(name, _, bytes)| (std::cmp::Reverse(*bytes), *name));
    rows.truncate(SHOWN);
    let names = rows.iter().map(|r| r.0.chars().count()).max().unwrap_or(0);
    let types = rows.iter().map(|r| r.1.chars().count()).max().unwrap_or(0);
    let line = |(name, ty, bytes): &(&str, &str, u64)| {
        format!("\n  {name:<names$}  {ty:<types$}  {:>10}", display_bytes(*bytes))
    };
    format!("the largest tensors:{}", rows.iter().map(line).collect::<String>())
}
