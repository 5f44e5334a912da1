//! Tables: what is in them, that the same blocks give the same bytes whatever happens, and that others can read them.

mod content;
mod document;
mod independent;
mod mistakes;
mod restart;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A row by the names of its columns; a missing value is `None`.
type Row = BTreeMap<String, Option<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The bundled packs, in the order in which they are replayed.
fn packs() -> Vec<PathBuf> {
    isolane::replay::find(&[root().join("testdata/blocks")]).expect("the bundled packs").packs
}

/// A pack as JSON.
fn read_pack(path: &Path) -> Value {
    serde_json::from_slice(&isolane::load::typed::read(path).expect("a pack")).expect("JSON")
}

fn command(inputs: &[&Path], out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
    command.arg("replay").args(inputs).arg("--out").arg(out).args(more);
    command
}

fn replay(inputs: &[&Path], out: &Path, more: &[&str]) -> Output {
    command(inputs, out, more).output().expect("the tool runs")
}

/// Replays the bundled packs, which match.
fn replay_bundled(out: &Path, more: &[&str]) {
    let output = replay(&[&root().join("testdata/blocks")], out, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The tables in a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a kind").is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, fs::read(entry.path()).expect("a file"));
        }
    }
    found
}

/// The files of a table.
fn of_table(folder: &Path, table: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = files(folder)
        .into_keys()
        .filter(|name| name.split("__").nth(1) == Some(table))
        .map(|name| folder.join(name))
        .collect();
    paths.sort();
    paths
}

fn text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => return None,
        Field::Bool(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        Field::Bytes(value) => format!("0x{}", hex::encode(value.data())),
        other => panic!("no column has such a value: {other:?}"),
    })
}

/// The rows of a table of Parquet files.
fn rows(folder: &Path, table: &str) -> Vec<Row> {
    let mut all = Vec::new();
    for path in of_table(folder, table) {
        let reader = SerializedFileReader::new(fs::File::open(&path).expect("a file")).expect("Parquet");
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            all.push(row.get_column_iter().map(|(name, field)| (name.clone(), text(field))).collect());
        }
    }
    all
}

/// A value of a row.
fn get<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).unwrap_or_else(|| panic!("no column {column}")).as_deref()
}

/// A number of a row.
fn number(row: &Row, column: &str) -> u64 {
    get(row, column).unwrap_or_else(|| panic!("no value in {column}")).parse().expect("a number")
}

/// The lines of a table of text files.
fn lines_of(folder: &Path, table: &str) -> Vec<String> {
    let texts = of_table(folder, table).into_iter().map(|path| fs::read_to_string(path).expect("text"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
