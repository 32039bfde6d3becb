//! A folder of pictures: a folder in it for each class, or one list of files.
//!
//! In: names of files and their labels. Out: pictures of one size as numbers 0 to 255, and labels. Invariant: files are read
//! in the order of their names, classes in that of theirs, whatever the file system's order is.

use super::csv::{Reader, Record};
use super::file::{self, Access, missing, printable};
use super::picture::{Fit, Picture, Wanted, decode, differs};
use super::raw::{Cells, Coder, Errors, Missing, Raw, RawField, Wrong};
use super::table::{no_rows, no_source};
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Extent, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, Kind, Part};
use crate::runtime::limits;
use std::path::Path;

/// A picture's file as the messages name it, and its label.
struct Item {
    path: String,
    label: String,
}

/// The files of all parts, in order.
#[derive(Default)]
struct Listing {
    items: Vec<Item>,
    ignored: Vec<String>,
}

/// The fields of a `folder` data item.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let one = |e: Box<Diagnostic>| vec![*e];
    let args = bind(vocabulary(), Place::Reader, "", &spec.reader).map_err(one)?;
    let (path, span) = (args.text("path").expect("`path` is required"), spec.reader.span);
    let skip = args.whole("skip").unwrap_or(0);
    let wanted = wanted(spec)?;
    let given = spec.split.test == Part::Given || spec.split.valid == Part::Given;
    let mut listing = Listing::default();
    let mut first = None;
    if given {
        let second = if spec.split.test == Part::Given { "test" } else { "valid" };
        listing.classes(access, &format!("{path}/train"), span).map_err(one)?;
        first = Some(listing.items.len());
        listing.classes(access, &format!("{path}/{second}"), span).map_err(one)?;
    } else if access.resolve(path, span).map_err(one)?.is_dir() {
        listing.classes(access, path, span).map_err(one)?;
    } else {
        listing.list(access, path, span).map_err(one)?;
    }
    if listing.items.is_empty() {
        return Err(vec![no_rows(path, "there is no PNG or JPEG in it", span)]);
    }
    let mut warnings = listing.warning(path, span);
    let mut pictures = Pictures { wanted, size: None, values: Vec::new(), kept: Vec::new(), bad: Errors::new() };
    for item in &listing.items {
        pictures.add(access, item, span)?;
        if pictures.bad.len() > skip && pictures.bad.len() >= limits::DATA_ERRORS {
            break;
        }
    }
    if pictures.bad.len() > skip {
        pictures.bad.truncate(limits::DATA_ERRORS.max(1));
        return Err(pictures.bad);
    }
    warnings.extend(pictures.bad.iter().map(|e| left_out(e, span)));
    let given = first.map(|n| pictures.kept[..n].iter().filter(|&&kept| kept).count());
    let fields = pictures.fields(spec, &listing)?;
    let rows = fields.first().map_or(0, RawField::rows);
    if rows == 0 {
        return Err(vec![no_rows(path, "every picture was left out", span)]);
    }
    Ok(Raw { rows, fields, given, shown: path.to_string(), warnings })
}

fn left_out(error: &Diagnostic, span: Span) -> Diagnostic {
    Diagnostic::warning("W0405", span, format!("left out: {}", error.message), "`skip` allows it")
}

/// What the fields want of the pictures. All that read pictures want the same.
fn wanted(spec: &DataSpec) -> Result<Wanted, Errors> {
    let (mut found, mut errors) = (None::<Wanted>, Errors::new());
    for field in &spec.fields {
        let call = field.source.as_ref().ok_or_else(|| no_source(field));
        let args = match call.and_then(|call| bind(vocabulary(), Place::Source, "folder", call)) {
            Ok(args) => args,
            Err(error) => {
                errors.push(*error);
                continue;
            }
        };
        if args.signature.name != "images" {
            continue;
        }
        let fit = match args.text("fit") {
            Some("resize") => Fit::Resize,
            Some("crop") => Fit::Crop,
            _ => Fit::Refuse,
        };
        let size: Option<[Extent; 3]> = match *field.shape.as_slice() {
            [h, w] => Some([h, w, Extent::Fixed(1)]),
            [h, w, c] => Some([h, w, c]),
            _ => None,
        };
        let fixed = |e: Extent| e.fixed();
        match (size, found) {
            (None, _) => {
                let text = format!("`{}` holds pictures: its axes are height, width and channels", field.name);
                errors.push(Diagnostic::error("E0415", field.span, text, "write `[64, 64, 3]`"));
            }
            (Some(size), Some(old)) if old != (Wanted { size: size.map(fixed), fit }) => {
                let text = format!("`{}` wants its pictures in another size than the field before it", field.name);
                errors.push(Diagnostic::error("E0415", field.span, text, "one size in all fields"));
            }
            (Some(size), _) => found = Some(Wanted { size: size.map(fixed), fit }),
        }
    }
    match found {
        _ if !errors.is_empty() => Err(errors),
        Some(wanted) => Ok(wanted),
        None => Ok(Wanted { size: [None; 3], fit: Fit::Refuse }),
    }
}

impl Listing {
    /// The class folders in `folder`. E0403 for one without a picture.
    fn classes(&mut self, access: &Access, folder: &str, span: Span) -> Result<(), Box<Diagnostic>> {
        let mut classes = 0;
        for name in entries(access, folder, span)? {
            let path = format!("{folder}/{name}");
            // A link to nowhere is no folder; one that leads out of the permitted folder could be a class, and is refused.
            let there = |path: &str| access.root.join(path).exists();
            if name.starts_with('.') || !there(&path) || !access.resolve(&path, span)?.is_dir() {
                self.ignored.push(path);
                continue;
            }
            classes += 1;
            let before = self.items.len();
            for file in entries(access, &path, span)? {
                let inner = format!("{path}/{file}");
                match !file.starts_with('.') && is_picture(&file) && access.resolve(&inner, span)?.is_file() {
                    true => self.items.push(Item { path: inner, label: name.clone() }),
                    false => self.ignored.push(inner),
                }
            }
            if self.items.len() == before {
                let text = format!("the class folder {} holds no PNG or JPEG", printable(&path));
                let error = Diagnostic::error("E0403", span, text, "read here");
                return Err(Box::new(error.note("remove the folder, or put pictures of this class into it")));
            }
        }
        if classes == 0 {
            let error = Diagnostic::error("E0403", span, format!("{folder} holds no class folder"), "read here");
            let note = "each class is a folder of its own: `pets/cat/1.png`; or name a list of files: `pets.csv`";
            return Err(Box::new(error.note(note)));
        }
        Ok(())
    }

    /// A CSV file without names: on each line a file, relative to the list, and its label.
    fn list(&mut self, access: &Access, path: &str, span: Span) -> Result<(), Box<Diagnostic>> {
        let mut reader = Reader::new(file::open(access, path, span)?, b',')?;
        let folder = Path::new(path).parent().map(Path::to_path_buf).unwrap_or_default();
        let mut record = Record::default();
        while reader.read(&mut record)? {
            if record.len() != 2 {
                let text = format!("{} columns where a list has 2: the file and its label", record.len());
                return Err(reader.error("E0401", record.line, &text, "write `cat/1.png,cat`"));
            }
            let file = folder.join(record.field(0).trim()).to_string_lossy().into_owned();
            self.items.push(Item { path: file, label: record.field(1).trim().to_string() });
        }
        Ok(())
    }

    /// W0405 for the files that are no pictures.
    fn warning(&self, path: &str, span: Span) -> Errors {
        if self.ignored.is_empty() {
            return Errors::new();
        }
        let shown: Vec<String> = self.ignored.iter().take(6).map(|name| printable(name)).collect();
        let more = self.ignored.len().saturating_sub(6);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("ignored in {path}: {}{more}", shown.join(", "));
        vec![Diagnostic::warning("W0405", span, text, "read are *.png, *.jpg and *.jpeg in class folders")]
    }
}

/// The names in a folder, sorted; a folder that lies out of the permitted one is E0603.
fn entries(access: &Access, folder: &str, span: Span) -> Result<Vec<String>, Box<Diagnostic>> {
    let real = access.resolve(folder, span)?;
    let listed = std::fs::read_dir(&real).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    let listed = listed.map_err(|e| missing(folder, &e.to_string(), span))?;
    let mut names: Vec<String> = Vec::new();
    for entry in listed {
        match entry.file_name().into_string() {
            Ok(name) => names.push(name),
            Err(name) => {
                let text = format!("the name {name:?} is not UTF-8");
                return Err(missing(folder, &text, span));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_picture(name: &str) -> bool {
    let ending = Path::new(name).extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|e| matches!(e.as_str(), "png" | "jpg" | "jpeg"))
}

/// The pictures read so far.
struct Pictures {
    wanted: Wanted,
    size: Option<[usize; 3]>,
    values: Vec<f32>,
    /// Per item, whether it could be read.
    kept: Vec<bool>,
    bad: Errors,
}

impl Pictures {
    fn add(&mut self, access: &Access, item: &Item, span: Span) -> Result<(), Errors> {
        let read = file::open(access, &item.path, span).and_then(|mut source| source.all(limits::TEXT_BYTES));
        let bytes = read.map_err(|e| vec![*e])?;
        let decoded = decode(&bytes, self.wanted).and_then(|picture| self.same_size(picture));
        self.kept.push(decoded.is_ok());
        match decoded {
            Ok(picture) => {
                if self.values.try_reserve(picture.values.len()).is_err() {
                    let text = format!("{} pictures need more memory than there is", self.kept.len());
                    let error = Diagnostic::error("E0803", span, text, "read here");
                    return Err(vec![error.note("make them smaller: `[64, 64, 3] = images(fit = resize)`")]);
                }
                self.values.extend(picture.values);
            }
            Err(wrong) if wrong.code != "E0411" => return Err(vec![*wrong.of(&printable(&item.path), span)]),
            Err(wrong) => self.bad.push(*wrong.of(&printable(&item.path), span)),
        }
        Ok(())
    }

    /// Where the data tells the size, the first picture does.
    fn same_size(&mut self, picture: Picture) -> Result<Picture, Wrong> {
        let size = *self.size.get_or_insert(picture.size);
        if size == picture.size { Ok(picture) } else { Err(differs(picture.size, size)) }
    }

    fn fields(&self, spec: &DataSpec, listing: &Listing) -> Result<Vec<RawField>, Errors> {
        let mut coder = Coder::default();
        let kept = listing.items.iter().zip(&self.kept).enumerate().filter(|(_, (_, kept))| **kept);
        kept.for_each(|(i, (item, _))| coder.push(&item.label, i as u64 + 1));
        let field = |field: &crate::check::spec::FieldSpec| {
            let (names, missing, ends) = (Vec::new(), Missing::Error, None);
            if field.source.as_ref().is_some_and(|s| s.name == "images") {
                let dims = self.size.unwrap_or([1, 1, 1]).map(|n| n as u64).to_vec();
                let range = Some((0.0, 255.0));
                return Ok(RawField { cells: Cells::Numbers(self.values.clone()), dims, names, range, missing, ends });
            }
            if field.kind == Kind::Real {
                let text = format!("`{}` holds labels", field.name);
                return Err(vec![Diagnostic::error("E0105", field.span, text, "write `class(K)` as its type")]);
            }
            let cells = Cells::Texts(vec![coder.coded.clone()]);
            Ok(RawField { cells, dims: vec![1], names: vec!["labels".into()], range: None, missing, ends })
        };
        spec.fields.iter().map(field).collect()
    }
}
