//! The reference cases as they lie on disk.
//!
//! In: a folder with `index.json`. Out: cases with their tensors as f64. Invariant: every tensor that the index names is
//! there with the shape that it says.

use ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub type Tensors = BTreeMap<String, ArrayD<f64>>;

pub struct Case {
    pub name: String,
    pub group: String,
    pub op: String,
    /// PyTorch's names and values; what is left out has PyTorch's default.
    pub attributes: BTreeMap<String, Value>,
    pub tensors: Tensors,
    /// The tensors that hold integers.
    pub integers: BTreeSet<String>,
    /// The error of PyTorch's own f32 run, relative to the largest value of each tensor.
    pub f32_error: BTreeMap<String, f64>,
}

impl Case {
    pub fn tensor(&self, name: &str) -> Result<&ArrayD<f64>, String> {
        self.tensors.get(name).ok_or_else(|| format!("the case has no tensor `{name}`"))
    }

    /// The tensors whose names begin so, without that beginning.
    pub fn group_of<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a ArrayD<f64>)> {
        self.tensors.iter().filter_map(move |(n, t)| n.strip_prefix(prefix).map(|n| (n, t)))
    }
}

pub fn read(folder: &Path) -> Result<Vec<Case>, String> {
    let path = folder.join("index.json");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let index: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    index.as_array().ok_or("the index is a list")?.iter().map(|entry| case(folder, entry)).collect()
}

fn case(folder: &Path, entry: &Value) -> Result<Case, String> {
    let text = |key: &str| -> Result<String, String> {
        Ok(entry[key].as_str().ok_or_else(|| format!("an entry has no `{key}`"))?.to_string())
    };
    let object = |key: &str| entry[key].as_object().into_iter().flatten();
    let bytes = std::fs::read(folder.join(text("file")?)).map_err(|e| format!("{}: {e}", entry["file"]))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| format!("{}: {e}", entry["file"]))?;
    let (mut tensors, mut integers) = (Tensors::new(), BTreeSet::new());
    for (name, view) in file.tensors() {
        let data = numbers(view.dtype(), view.data())?;
        if matches!(view.dtype(), Dtype::I32 | Dtype::I64) {
            integers.insert(name.clone());
        }
        let array = ArrayD::from_shape_vec(IxDyn(view.shape()), data).map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name, array);
    }
    if let Some((missing, _)) = object("tensors").find(|(name, _)| !tensors.contains_key(*name)) {
        return Err(format!("{}: `{missing}` is in the index only", entry["file"]));
    }
    Ok(Case {
        name: text("name")?,
        group: text("group")?,
        op: text("op")?,
        attributes: object("attributes").map(|(k, v)| (k.clone(), v.clone())).collect(),
        tensors,
        integers,
        f32_error: object("f32_error").map(|(k, v)| (k.clone(), v.as_f64().unwrap_or(0.0))).collect(),
    })
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f64>, String> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|b| read(*b)).collect()
    }
    Ok(match dtype {
        Dtype::F32 => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::I32 => each(bytes, |b| f64::from(i32::from_le_bytes(b))),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        other => return Err(format!("elements of type {other:?} are not expected")),
    })
}
