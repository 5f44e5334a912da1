//! Columns: what a value is, and many of them side by side.

use isolane_spec::{Bytes, H160, H256, U256};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// 32 bits without a sign.
    U32,
    /// 64 bits without a sign.
    U64,
    /// Bytes: addresses, hashes, data.
    Binary,
    /// Text.
    Text,
    /// 256 bits without a sign, written in one or more of [`U256Type`].
    U256,
}

/// How a 256-bit number is written: each in a column of its own, whose name ends in the name of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum U256Type {
    /// 32 bytes, big-endian: `value_binary`.
    Binary,
    /// Decimal digits: `value_string`.
    String,
    /// The closest double: `value_f64`.
    F64,
}

impl U256Type {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 3] = [Self::Binary, Self::String, Self::F64];

    /// What is put behind the name of the column.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Binary => "_binary",
            Self::String => "_string",
            Self::F64 => "_f64",
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// What it tells.
    pub doc: &'static str,
}

/// Byte strings, end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Where each ends.
    pub ends: Vec<usize>,
}

impl Strings {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// The ranges of the values in the bytes.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }

    /// A value.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(index).and_then(|end| self.bytes.get(start..*end)).unwrap_or_default()
    }
}

/// The values that are there, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Of [`Kind::Bool`].
    Bool(Vec<bool>),
    /// Of [`Kind::U32`].
    U32(Vec<u32>),
    /// Of [`Kind::U64`].
    U64(Vec<u64>),
    /// Of [`Kind::Binary`].
    Binary(Strings),
    /// Of [`Kind::Text`].
    Text(Strings),
    /// Of [`Kind::U256`].
    U256(Vec<U256>),
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Those that are there.
    pub values: Values,
    /// Row by row, whether there is one; empty in a column where none may be missing.
    pub present: Vec<bool>,
}

impl Cells {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::U32 => Values::U32(Vec::new()),
            Kind::U64 => Values::U64(Vec::new()),
            Kind::Binary => Values::Binary(Strings::default()),
            Kind::Text => Values::Text(Strings::default()),
            Kind::U256 => Values::U256(Vec::new()),
        };
        Self { values, present: Vec::new() }
    }

    fn size(&self) -> usize {
        let values = match &self.values {
            Values::Bool(list) => list.len(),
            Values::U32(list) => list.len() * 4,
            Values::U64(list) => list.len() * 8,
            Values::Binary(strings) | Values::Text(strings) => strings.bytes.len() + strings.ends.len() * 8,
            Values::U256(list) => list.len() * 32,
        };
        values + self.present.len()
    }
}

/// A value of a column.
pub trait Cell {
    /// What it is.
    const KIND: Kind;
    /// Whether it may be missing.
    const NULLABLE: bool = false;
    /// Adds it to a column of its kind.
    fn push(&self, cells: &mut Cells);
}

macro_rules! plain {
    ($($type:ty => $kind:ident),*) => {$(
        impl Cell for $type {
            const KIND: Kind = Kind::$kind;
            fn push(&self, cells: &mut Cells) {
                if let Values::$kind(list) = &mut cells.values {
                    list.push(*self);
                }
            }
        }
    )*};
}

plain!(bool => Bool, u32 => U32, u64 => U64, U256 => U256);

macro_rules! strings {
    ($($type:ty => $kind:ident: $bytes:expr),*) => {$(
        impl Cell for $type {
            const KIND: Kind = Kind::$kind;
            fn push(&self, cells: &mut Cells) {
                if let Values::$kind(strings) = &mut cells.values {
                    let bytes: fn(&Self) -> &[u8] = $bytes;
                    strings.push(bytes(self));
                }
            }
        }
    )*};
}

strings!(
    Bytes => Binary: |bytes| bytes,
    Vec<u8> => Binary: |bytes| bytes,
    H160 => Binary: |address| address.as_bytes(),
    H256 => Binary: |hash| hash.as_bytes(),
    String => Text: |text| text.as_bytes(),
    &'static str => Text: |text| text.as_bytes()
);

impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    fn push(&self, cells: &mut Cells) {
        cells.present.push(self.is_some());
        if let Some(value) = self {
            value.push(cells);
        }
    }
}

/// A row of a table.
pub trait Row {
    /// The table.
    const TABLE: super::Table;
    /// Its columns, in order.
    const COLUMNS: &'static [Column];
    /// Adds the values to the columns of the table.
    fn push(&self, cells: &mut [Cells]);
}

/// Some rows of one table, column by column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The table.
    pub table: super::Table,
    /// Its columns, in order.
    pub cells: Vec<Cells>,
    /// How many rows there are.
    pub rows: usize,
}

impl Batch {
    /// No rows yet.
    #[must_use]
    pub fn new(table: super::Table) -> Self {
        let cells = table.columns().iter().map(|column| Cells::new(column.kind)).collect();
        Self { table, cells, rows: 0 }
    }

    /// Rows of one type.
    #[must_use]
    pub fn of<R: Row>(rows: impl IntoIterator<Item = R>) -> Self {
        let mut batch = Self::new(R::TABLE);
        for row in rows {
            row.push(&mut batch.cells);
            batch.rows += 1;
        }
        batch
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.cells.iter().map(Cells::size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_know_where_they_end() {
        let mut strings = Strings::default();
        for value in [&b"ab"[..], b"", b"c"] {
            strings.push(value);
        }
        assert_eq!(strings.ranges().collect::<Vec<_>>(), [0..2, 2..2, 2..3]);
        assert_eq!(
            (strings.get(0), strings.get(1), strings.get(2), strings.get(3)),
            (&b"ab"[..], &b""[..], &b"c"[..], &b""[..])
        );
    }

    #[test]
    fn missing_values_take_no_room() {
        let mut cells = Cells::new(<Option<u32> as Cell>::KIND);
        for value in [Some(1u32), None, Some(3)] {
            value.push(&mut cells);
        }
        assert_eq!(cells, Cells { values: Values::U32(vec![1, 3]), present: vec![true, false, true] });
    }
}
