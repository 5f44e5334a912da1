//! Finds packs and witnesses under the paths that a user names.

use crate::load::typed::{InputError, read};
use crate::load::witness::WitnessFile;
use crate::source::Source;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What there is to replay.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Packs, each once: files in the order given, those of a folder by chain and number.
    pub packs: Vec<PathBuf>,
    /// Witness files by chain id and block number.
    pub witnesses: HashMap<(u64, u64), PathBuf>,
    /// Files in the folders that are neither.
    pub ignored: Vec<PathBuf>,
}

impl Inputs {
    /// The witness of a pack, as far as its name tells.
    #[must_use]
    pub fn witness_of(&self, pack: &Path) -> Option<&Path> {
        match named(pack) {
            Named::Pack(chain, Some(number)) => self.witnesses.get(&(chain, number)).map(PathBuf::as_path),
            _ => None,
        }
    }
}

impl Source for Inputs {
    fn count(&self) -> usize {
        self.packs.len()
    }

    fn name(&self, index: usize) -> String {
        self.packs.get(index).map(|path| path.display().to_string()).unwrap_or_default()
    }

    fn origin(&self) -> &'static str {
        "file"
    }

    fn pack(&self, index: usize) -> Result<Vec<u8>, InputError> {
        match self.packs.get(index) {
            Some(path) => read(path),
            None => Err(InputError::at("", format!("there is no pack {index}"))),
        }
    }

    fn witness(&self, _: usize, chain_id: u64, number: u64) -> Result<Option<(String, WitnessFile)>, InputError> {
        let Some(path) = self.witnesses.get(&(chain_id, number)) else { return Ok(None) };
        Ok(Some((path.display().to_string(), WitnessFile::read(path)?)))
    }
}

/// What a file's name says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Witness(u64, u64),
    Pack(u64, Option<u64>),
    Other,
}

/// Packs are named `<chain id>-<anything>.json[.zst]`, witnesses `<chain id>-<number>.witness.json[.zst]`.
fn named(path: &Path) -> Named {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Named::Other };
    let name = name.strip_suffix(".zst").unwrap_or(name);
    let Some(stem) = name.strip_suffix(".json") else { return Named::Other };
    let (stem, witness) = stem.strip_suffix(".witness").map_or((stem, false), |stem| (stem, true));
    let Some((chain, rest)) = stem.split_once('-') else { return Named::Other };
    let Ok(chain) = chain.parse() else { return Named::Other };
    match (witness, rest.parse().ok()) {
        (true, Some(number)) => Named::Witness(chain, number),
        (true, None) => Named::Other,
        (false, number) => Named::Pack(chain, number),
    }
}

/// Finds everything under the paths. A file that is named by itself is a pack whatever its name is.
///
/// # Errors
/// When a path does not exist or cannot be read, or nothing is found.
pub fn find(paths: &[PathBuf]) -> Result<Inputs, InputError> {
    let mut inputs = Inputs::default();
    let mut seen = HashSet::new();
    for path in paths {
        let name = path.display().to_string();
        let metadata = std::fs::metadata(path)
            .map_err(|error| InputError::new(&name, "", format!("cannot read it: {error}: check the path")))?;
        if metadata.is_dir() {
            let mut found = Vec::new();
            walk(path, &mut found)?;
            found.sort_by_cached_key(|file| match named(file) {
                Named::Pack(chain, number) => (chain, number.is_none(), number, file.clone()),
                _ => (u64::MAX, true, None, file.clone()),
            });
            for file in found {
                match named(&file) {
                    Named::Witness(chain, number) => _ = inputs.witnesses.insert((chain, number), file),
                    Named::Pack(..) => add(&mut inputs.packs, &mut seen, file),
                    Named::Other => inputs.ignored.push(file),
                }
            }
        } else if let Named::Witness(chain, number) = named(path) {
            inputs.witnesses.insert((chain, number), path.clone());
        } else {
            add(&mut inputs.packs, &mut seen, path.clone());
        }
    }
    if inputs.packs.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let problem =
            "no block packs found: expected files named <chain id>-<number>.json.zst (isolane fetch makes them)";
        return Err(InputError::new(names.join(", "), "", problem));
    }
    Ok(inputs)
}

fn add(packs: &mut Vec<PathBuf>, seen: &mut HashSet<PathBuf>, file: PathBuf) {
    if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
        packs.push(file);
    }
}

/// All files below a folder. Links to folders are not followed: they can form circles.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let fail = |error: std::io::Error| {
        InputError::new(folder.display().to_string(), "", format!("cannot read the folder: {error}"))
    };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(named(Path::new("a/1-17.json.zst")), Named::Pack(1, Some(17)));
        assert_eq!(named(Path::new("1-17.json")), Named::Pack(1, Some(17)));
        assert_eq!(named(Path::new("1337-blob_tx.json.zst")), Named::Pack(1337, None));
        assert_eq!(named(Path::new("1-17.witness.json.zst")), Named::Witness(1, 17));
        assert_eq!(named(Path::new("opcode_histogram.json")), Named::Other);
        assert_eq!(named(Path::new("1-17.json.gz")), Named::Other);
    }
}
