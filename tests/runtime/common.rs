//! Makers of data items and files for the tests of the runtime.

use nnc::base::{Extent, FileId, SourceMap, Span};
use nnc::check::spec::{Call, DataSpec, FieldSpec, Kind, Literal, Part, SplitSpec};
use nnc::runtime::data::{Access, Dataset, open};
use std::io::Write;

pub const SOURCE: &str = "data d = csv(\"t.csv\") { x: [2] = columns(1..2); y: class(2) = column(\"y\") }\n";

pub fn span() -> Span {
    Span::new(FileId(0), 0, 4)
}

pub fn text(value: &str) -> Literal {
    Literal::Text(value.to_string())
}

pub fn word(value: &str) -> Literal {
    Literal::Word(value.to_string())
}

pub fn call(name: &str, args: Vec<(Option<&str>, Literal)>) -> Call {
    let args = args.into_iter().map(|(n, l)| (n.map(str::to_string), l)).collect();
    Call { name: name.to_string(), args, span: span() }
}

pub fn field(name: &str, kind: Kind, shape: &[u64], source: Call) -> FieldSpec {
    let shape = shape.iter().map(|&n| Extent::Fixed(n)).collect();
    FieldSpec {
        name: name.to_string(),
        span: span(),
        kind,
        image: false,
        shape,
        source: Some(source),
        transforms: vec![],
    }
}

/// `x: [2] = columns(1..2)` and `y: class(2) = column("y")` of `t.csv`.
pub fn table() -> DataSpec {
    let x = field("x", Kind::Real, &[2], call("columns", vec![(None, Literal::Range(1.0, 2.0))]));
    let y = field("y", Kind::Class(Some(Extent::Fixed(2))), &[], call("column", vec![(None, text("y"))]));
    let split = SplitSpec { span: span(), ..SplitSpec::default() };
    let reader = call("csv", vec![(None, text("t.csv"))]);
    DataSpec { name: "d".into(), span: span(), reader, fields: vec![x, y], split, symbols: vec![] }
}

/// `image: [2, 2, 1] = images` and `label: class(3) = labels` of the folder `m`.
pub fn pictures() -> DataSpec {
    let x = field("image", Kind::Real, &[2, 2, 1], call("images", vec![]));
    let y = field("label", Kind::Class(Some(Extent::Fixed(3))), &[], call("labels", vec![]));
    let split = SplitSpec { train: Part::Given, test: Part::Given, span: span(), ..SplitSpec::default() };
    let reader = call("idx", vec![(None, text("m"))]);
    DataSpec { name: "d".into(), span: span(), reader, fields: vec![x, y], split, symbols: vec![] }
}

/// A folder of files that goes when the value does.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new(files: &[(&str, &[u8])]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, bytes)| folder.write(name, bytes));
        folder
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn access(&self) -> Access {
        Access::beside(&self.0.path().join("m.nn"))
    }

    pub fn open(&self, spec: &DataSpec) -> Result<Dataset, String> {
        open(spec, &self.access(), None, 0).map_err(|errors| render(&errors).replace(&self.root(), "FOLDER"))
    }

    fn root(&self) -> String {
        self.0.path().canonicalize().unwrap().display().to_string()
    }
}

/// The `data` item of this text.
pub fn item(text: &str) -> DataSpec {
    let nowhere = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    nnc::driver::pipeline::Library::load().analyse("m.nn", text, &nowhere).checked.data.remove(0)
}

/// What reading the `data` item `item` beside `files` comes to: the report, and each field; or the mistakes.
pub fn reading(files: &[(&str, &[u8])], item: &str) -> String {
    reading_in(&Folder::new(files), item)
}

pub fn reading_in(folder: &Folder, item: &str) -> String {
    let nowhere = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    let analysis = nnc::driver::pipeline::Library::load().analyse("m.nn", item, &nowhere);
    let wrong: Vec<_> = analysis.diagnostics.iter().filter(|d| d.code != "E0004").cloned().collect();
    let Some(spec) = analysis.checked.data.first() else { return rendered(&analysis.sources, &wrong) };
    assert!(wrong.is_empty(), "{}", rendered(&analysis.sources, &wrong));
    match open(spec, &folder.access(), None, 0) {
        Ok(data) => {
            let mut text = data.report();
            for field in &data.fields {
                text.push_str(&format!("\n  {}: {}", field.name, shown(&field.storage)));
                let names: Vec<String> = field.classes.iter().map(|c| c.escape_debug().to_string()).collect();
                if !names.is_empty() {
                    text.push_str(&format!("\n    {}", names.join(" ")));
                }
            }
            let warnings = rendered(&analysis.sources, &data.warnings);
            if warnings.is_empty() { text } else { format!("{text}\n{warnings}") }
        }
        Err(errors) => rendered(&analysis.sources, &errors).replace(&folder.root(), "FOLDER"),
    }
}

fn shown(storage: &nnc::runtime::data::Storage) -> String {
    use nnc::runtime::data::Storage;
    let mut all: Vec<String> = match storage {
        Storage::F32(values) => values.iter().map(|v| v.to_string()).collect(),
        Storage::I32(values) => values.iter().map(|v| v.to_string()).collect(),
    };
    if all.len() > 40 {
        all.truncate(40);
        all.push("…".into());
    }
    all.join(" ")
}

/// One line per diagnostic: code and message, then its label, notes and exit code.
pub fn render(diagnostics: &[nnc::base::Diagnostic]) -> String {
    let mut sources = SourceMap::default();
    sources.add("m.nn", SOURCE, false);
    rendered(&sources, diagnostics)
}

fn rendered(sources: &SourceMap, diagnostics: &[nnc::base::Diagnostic]) -> String {
    let one = |d: &nnc::base::Diagnostic| {
        let label = d.labels.first().map_or(String::new(), |l| format!("\n  {}", l.text));
        let notes: String = d.notes.iter().map(|n| format!("\n  = {n}")).collect();
        format!("{}{label}{notes}\n  exit {}", d.short(sources), d.exit_code())
    };
    diagnostics.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The mistakes in `csv` read as [`table`].
pub fn mistakes(csv: impl AsRef<[u8]>) -> String {
    Folder::new(&[("t.csv", csv.as_ref())]).open(&table()).expect_err("this table has a mistake")
}

pub fn read(csv: impl AsRef<[u8]>) -> Dataset {
    Folder::new(&[("t.csv", csv.as_ref())]).open(&table()).unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A safetensors file of whole numbers: name, shape, values.
pub fn safetensors(tensors: &[(&str, &[usize], &[i32])]) -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let view = |shape: &[usize], data| TensorView::new(Dtype::I32, shape.to_vec(), data).unwrap();
    serialize(tensors.iter().zip(&bytes).map(|((name, shape, _), data)| (*name, view(shape, data))), None).unwrap()
}

pub fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(bytes);
    out
}
