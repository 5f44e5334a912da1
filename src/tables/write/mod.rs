//! Tables as files.

mod parquet;
mod text;

use super::column::{Batch, Kind, U256Type};
use super::{Column, Table};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Parquet, compressed with zstd.
    #[default]
    Parquet,
    /// JSON Lines: an object a row.
    Jsonl,
    /// CSV with a line of names.
    Csv,
}

impl Format {
    /// The end of the names of its files.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// The name of a chain in the names of files, as cryo has it.
#[must_use]
pub fn network(chain_id: u64) -> String {
    let name = match chain_id {
        1 => "ethereum",
        5 => "goerli",
        10 => "optimism",
        56 => "bnb",
        100 => "gnosis",
        137 => "polygon",
        1101 => "polygon_zkevm",
        8453 => "base",
        10_200 => "gnosis_chidao",
        17_000 => "holesky",
        42_161 => "arbitrum",
        42_170 => "arbitrum_nova",
        43_114 => "avalanche",
        7_777_777 => "zora",
        11_155_111 => "sepolia",
        other => return format!("network_{other}"),
    };
    name.to_owned()
}

/// How the values of a written column are made of those of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As they are.
    Plain(Kind),
    /// 256 bits, in one of the types.
    Word(U256Type),
}

/// A column as it is written: a 256-bit one is written once for each type that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// The column, by its index.
    pub source: usize,
    /// How its values are written.
    pub shown: Shown,
    /// Whether a value may be missing.
    pub nullable: bool,
}

/// The columns of a table as they are written.
#[must_use]
pub fn columns(table: Table, words: &[U256Type]) -> Vec<Written> {
    let written = |(source, column): (usize, &Column)| {
        let Column { name, kind, nullable, .. } = *column;
        let all: Vec<Written> = match kind {
            Kind::U256 => words
                .iter()
                .map(|word| Written {
                    name: format!("{name}{}", word.suffix()),
                    source,
                    shown: Shown::Word(*word),
                    nullable,
                })
                .collect(),
            _ => vec![Written { name: name.to_owned(), source, shown: Shown::Plain(kind), nullable }],
        };
        all
    };
    table.columns().iter().enumerate().flat_map(written).collect()
}

/// A number as the closest double.
pub(super) fn double(number: &isolane_spec::U256) -> f64 {
    // The digits of a number are a number.
    number.to_string().parse().unwrap_or(f64::NAN)
}

/// A file that is counted and hashed while it is written.
pub struct Sink {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Sink {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(1 << 18, file), hash: Sha256::new(), bytes: 0 }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

enum Encoder {
    Parquet(Box<parquet::Encoder>),
    Text(text::Encoder),
}

/// A table that is being written, under a temporary name.
pub struct TableFile {
    encoder: Encoder,
    temporary: tempfile::TempPath,
    rows: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Done {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// A table that is whole, still under its temporary name.
pub struct Whole {
    temporary: tempfile::TempPath,
    /// What it is.
    pub done: Done,
}

impl Whole {
    /// Gives it its name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(self, to: &Path) -> io::Result<()> {
        self.temporary.persist(to).map_err(|error| error.error)
    }
}

/// What the names of temporary files begin and end with.
const TEMPORARY: (&str, &str) = (".isolane-", ".tmp");

/// Removes what a killed run left under temporary names.
///
/// # Errors
/// When the folder cannot be read, or a file not be removed.
pub fn remove_temporaries(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1) && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl TableFile {
    /// Starts a table in a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, table: Table, format: Format, words: &[U256Type]) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
        // Results are for others as well, as far as the user's mask lets them.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder)?;
        let (file, temporary) = file.into_parts();
        let (sink, columns) = (Sink::new(file), columns(table, words));
        let encoder = match format {
            Format::Parquet => Encoder::Parquet(Box::new(parquet::Encoder::new(sink, table, columns)?)),
            Format::Jsonl => Encoder::Text(text::Encoder::json(sink, columns)),
            Format::Csv => Encoder::Text(text::Encoder::csv(sink, columns)?),
        };
        Ok(Self { encoder, temporary, rows: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, batch: Batch) -> io::Result<()> {
        self.rows += batch.rows as u64;
        match &mut self.encoder {
            Encoder::Parquet(encoder) => encoder.write(batch),
            Encoder::Text(encoder) => encoder.write(&batch),
        }
    }

    /// Ends it, and flushes it to the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<Whole> {
        let mut sink = match self.encoder {
            Encoder::Parquet(encoder) => encoder.finish()?,
            Encoder::Text(encoder) => encoder.finish()?,
        };
        sink.flush()?;
        sink.file.get_ref().sync_all()?;
        let done = Done { rows: self.rows, bytes: sink.bytes, sha256: hex::encode(sink.hash.finalize()) };
        Ok(Whole { temporary: self.temporary, done })
    }
}

/// The name of a file: chain, table, range, and a number where that name is taken.
#[must_use]
pub fn file_name(chain_id: u64, table: Table, range: (u64, u64), copy: u32, format: Format) -> PathBuf {
    let (network, table, extension) = (network(chain_id), table.name(), format.extension());
    let copy = if copy > 1 { format!("__{copy}") } else { String::new() };
    PathBuf::from(format!("{network}__{table}__{:08}_to_{:08}{copy}.{extension}", range.0, range.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_cryo() {
        let name =
            |chain, range, copy| file_name(chain, Table::Logs, range, copy, Format::Parquet).display().to_string();
        assert_eq!(name(1, (17_106_222, 17_106_232), 1), "ethereum__logs__17106222_to_17106232.parquet");
        assert_eq!(name(31_337, (1, 9), 2), "network_31337__logs__00000001_to_00000009__2.parquet");
    }

    #[test]
    fn words_are_written_once_for_each_type() {
        let names = |words: &[U256Type]| -> Vec<String> {
            columns(Table::BalanceDiffs, words).into_iter().map(|column| column.name).collect()
        };
        assert_eq!(
            names(&[U256Type::Binary, U256Type::F64])[4..],
            ["from_value_binary", "from_value_f64", "to_value_binary", "to_value_f64", "chain_id"]
        );
        assert_eq!(double(&isolane_spec::U256::exp10(18)), 1e18);
        assert_eq!(double(&isolane_spec::U256::MAX), 2f64.powi(256));
    }
}
