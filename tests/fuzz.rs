//! The functions that fuzzing enters with, over their corpus and deterministic mutations of it: nothing panics, and what
//! is in the corpus is what it is meant to be. `fuzz/` has the libFuzzer targets for the same functions.

use isolane::diff::entry::{ENTRIES, Entry};
use std::path::{Path, PathBuf};

/// Mutations of each file.
const MUTATIONS: u64 = 400;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// Text that parsers trip over.
const WORDS: [&str; 12] =
    ["\"0x\"", "0x", "null", "{}", "[", "]", "-1", "\"0xg\"", "1e999", "18446744073709551616", "\\ud800", "\u{0}"];

fn mutate(random: &mut fastrand::Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + random.usize(..4) {
        let at = random.usize(..=bytes.len());
        match random.u32(..7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 => {
                let end = (at + random.usize(..40)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                // Something from another file.
                let from = random.usize(..=other.len());
                let end = (from + random.usize(..60)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            4 => {
                let word = WORDS[random.usize(..WORDS.len())];
                let end = (at + random.usize(..word.len() + 1)).min(bytes.len());
                bytes.splice(at..end, word.bytes());
            }
            5 => {
                let end = (at + random.usize(..200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.u32(..8);
                }
            }
        }
    }
    bytes
}

fn run(name: &str, entry: Entry) {
    let files = corpus(name);
    assert!(!files.is_empty(), "{name} has no corpus");
    for (path, bytes) in &files {
        assert!(entry(bytes), "{}: not taken", path.display());
    }
    let mut taken = 0;
    for (number, (path, seed)) in files.iter().enumerate() {
        for index in 0..MUTATIONS {
            let mut random = fastrand::Rng::with_seed(index << 8 | number as u64);
            let (_, other) = &files[random.usize(..files.len())];
            let bytes = mutate(&mut random, seed, other);
            let done = std::panic::catch_unwind(|| entry(&bytes));
            match done {
                Ok(good) => taken += u64::from(good),
                Err(_) => panic!("{}, mutation {index}: a panic on {}", path.display(), hex::encode(&bytes)),
            }
        }
    }
    println!("{name}: {} files, {taken} of {} mutations taken", files.len(), files.len() as u64 * MUTATIONS);
}

#[test]
fn every_target_has_an_entry_and_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(root.join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut entries: Vec<&str> = ENTRIES.iter().map(|(name, _)| *name).collect();
    entries.sort_unstable();
    assert_eq!(names("corpus"), entries);
    assert_eq!(names("fuzz_targets"), entries);
}

macro_rules! entries {
    ($($name:ident)*) => {
        $(#[test] fn $name() {
            let (name, entry) = ENTRIES.iter().find(|(name, _)| *name == stringify!($name)).expect("an entry");
            run(name, *entry);
        })*
    };
}

entries!(block_pack transaction_pack fixtures manifest workload transaction witness execution);
