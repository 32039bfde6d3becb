//! What was read, in one line.
//!
//! In: a data set. Out: its rows, parts and fields as text. Invariant: everything that was counted from the data is in it.

use super::{Dataset, Field, Storage};

impl Dataset {
    /// `shakespeare: 8554 rows (7699 train, 855 valid); tokens: token(76)[128], next: token(76)[128]`
    pub fn report(&self) -> String {
        let parts = [("train", &self.parts.train), ("valid", &self.parts.valid), ("test", &self.parts.test)];
        let parts =
            parts.iter().filter(|(_, rows)| !rows.is_empty()).map(|(name, rows)| format!("{} {name}", rows.len()));
        let own = self.fields.iter().filter(|f| !self.is_length(f));
        let fields: Vec<String> = own.map(|f| self.describe(f)).collect();
        format!("{}: {} rows ({}); {}", self.name, self.rows, parts.collect::<Vec<_>>().join(", "), fields.join(", "))
    }

    fn is_length(&self, field: &Field) -> bool {
        field.name.strip_suffix(".length").is_some_and(|of| self.field(of).is_some())
    }

    fn describe(&self, field: &Field) -> String {
        let kind = match (&field.storage, field.classes.len(), field.token) {
            (Storage::F32(_), ..) => String::new(),
            (_, n, true) => format!("token({n})"),
            (_, n, false) => format!("class({n})"),
        };
        let shape = match field.shape.is_empty() {
            true => String::new(),
            false => format!("{:?}", field.shape),
        };
        let kind = if kind.is_empty() && shape.is_empty() { "real".to_string() } else { kind + &shape };
        let length = self.field(&format!("{}.length", field.name));
        let lengths = match length.map(|l| &l.storage) {
            Some(Storage::I32(all)) => {
                let (least, most) = (all.iter().min().unwrap_or(&0), all.iter().max().unwrap_or(&0));
                format!(" of {least} to {most} steps")
            }
            _ => String::new(),
        };
        format!("{}: {kind}{lengths}", field.name)
    }
}
