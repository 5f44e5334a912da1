//! JSON Lines and CSV. Bytes are hexadecimal with `0x` in both, numbers are decimal.

use super::super::column::{Batch, Cells, U256Type, Values};
use super::{Shown, Sink, Written, double};
use isolane_spec::{U256, word};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::io::{self, Write as _};

/// A value.
enum Value<'a> {
    Missing,
    Bool(bool),
    Number(u64),
    Double(f64),
    Binary(&'a [u8]),
    Word(&'a U256),
    Text(&'a [u8]),
    Digits(&'a U256),
}

/// The text of bytes; those of a table are UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_u64(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Binary(bytes) => serializer.serialize_str(&format!("0x{}", hex::encode(bytes))),
            Self::Word(number) => serializer.serialize_str(&format!("0x{}", hex::encode(word::to_be(number)))),
            Self::Text(bytes) => serializer.serialize_str(text(bytes)),
            Self::Digits(number) => serializer.collect_str(number),
        }
    }
}

impl Value<'_> {
    /// The text of a field; a missing value is an empty one.
    fn field(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Binary(bytes) => format!("0x{}", hex::encode(bytes)),
            Self::Word(number) => format!("0x{}", hex::encode(word::to_be(number))),
            Self::Text(bytes) => text(bytes).to_owned(),
            Self::Digits(number) => number.to_string(),
        }
    }
}

/// Goes through a column of a batch.
struct Cursor<'a> {
    cells: &'a Cells,
    shown: Shown,
    row: usize,
    /// The next of the values that are there.
    next: usize,
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let present = self.cells.present.get(self.row).copied().unwrap_or(true);
        self.row += 1;
        if !present {
            return Some(Value::Missing);
        }
        let index = self.next;
        self.next += 1;
        match &self.cells.values {
            Values::Bool(list) => list.get(index).map(|value| Value::Bool(*value)),
            Values::U32(list) => list.get(index).map(|value| Value::Number(u64::from(*value))),
            Values::U64(list) => list.get(index).map(|value| Value::Number(*value)),
            Values::Binary(strings) => Some(Value::Binary(strings.get(index))),
            Values::Text(strings) => Some(Value::Text(strings.get(index))),
            Values::U256(list) => list.get(index).map(|value| match self.shown {
                Shown::Word(U256Type::F64) => Value::Double(double(value)),
                Shown::Word(U256Type::Binary) => Value::Word(value),
                Shown::Word(U256Type::String) | Shown::Plain(_) => Value::Digits(value),
            }),
        }
    }
}

/// A row as an object whose keys are in the order of the columns.
struct Object<'a>(Vec<(&'a str, Value<'a>)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

enum Out {
    Json(Sink),
    Csv(Box<csv::Writer<Sink>>),
}

/// Writes rows as text.
pub struct Encoder {
    out: Out,
    columns: Vec<Written>,
}

impl Encoder {
    pub fn json(sink: Sink, columns: Vec<Written>) -> Self {
        Self { out: Out::Json(sink), columns }
    }

    pub fn csv(sink: Sink, columns: Vec<Written>) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(sink);
        writer.write_record(columns.iter().map(|column| &column.name))?;
        Ok(Self { out: Out::Csv(Box::new(writer)), columns })
    }

    pub fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let mut cursors: Vec<(&str, Cursor<'_>)> = self
            .columns
            .iter()
            .filter_map(|column| {
                let cells = batch.cells.get(column.source)?;
                Some((column.name.as_str(), Cursor { cells, shown: column.shown, row: 0, next: 0 }))
            })
            .collect();
        for _ in 0..batch.rows {
            let row = cursors.iter_mut().map(|(name, cursor)| (*name, cursor.next().unwrap_or(Value::Missing)));
            match &mut self.out {
                Out::Json(sink) => {
                    serde_json::to_writer(&mut *sink, &Object(row.collect()))?;
                    sink.write_all(b"\n")?;
                }
                Out::Csv(writer) => writer.write_record(row.map(|(_, value)| value.field()))?,
            }
        }
        Ok(())
    }

    pub fn finish(self) -> io::Result<Sink> {
        match self.out {
            Out::Json(sink) => Ok(sink),
            Out::Csv(writer) => {
                writer.into_inner().map_err(|error| io::Error::new(error.error().kind(), error.error().to_string()))
            }
        }
    }
}
