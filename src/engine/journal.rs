//! Where a run keeps what it has done, so that it goes on after a kill.
//!
//! Each epoch is one record, named by its number. A record appears whole or not at all: it is written under a temporary
//! name, flushed to the disk, renamed, and the folder is flushed. What a killed run left half-written has another name
//! and is ignored.

use crate::convert::keccak;
use crate::load::typed::InputError;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Keeps records by name.
pub trait Storage: Send {
    /// Keeps a record; when this returns, it survives a kill. A record of that name is replaced.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// A record, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Forgets a record.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// What the storage is called in errors.
    fn name(&self) -> String;
}

/// Records as files of a folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    fn sync_folder(&self) -> io::Result<()> {
        // A folder can be opened and flushed on Unix alone; elsewhere the rename is all there is.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

/// Writes a file that appears whole or not at all, and survives a kill once this returns.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".isolane-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

impl Storage for Folder {
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.path.join(name), bytes)?;
        self.sync_folder()
    }

    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync_folder(),
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Records in memory: for tests, and for programs that keep them elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Storage for Memory {
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.remove(name);
        Ok(())
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

const MAGIC: &[u8; 8] = b"isolane\x01";

/// The name of the record of an epoch.
#[must_use]
pub fn record_name(epoch: u64) -> String {
    format!("epoch-{epoch:08}.journal")
}

/// Keeps the record of an epoch, sealed with its hash.
///
/// # Errors
/// When it cannot be kept.
pub fn put(storage: &mut dyn Storage, epoch: u64, content: &[u8]) -> Result<(), InputError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(content);
    let seal = keccak(&bytes);
    bytes.extend_from_slice(&seal.0);
    storage.put(&record_name(epoch), &bytes).map_err(|error| {
        InputError::new(storage.name(), record_name(epoch), format!("cannot write it: {error}: is the disk full?"))
    })
}

/// The record of an epoch, if there is one.
///
/// # Errors
/// When it cannot be read, or its hash says that it is not what was written.
pub fn get(storage: &dyn Storage, epoch: u64) -> Result<Option<Vec<u8>>, InputError> {
    let fail = |problem: String| InputError::new(storage.name(), record_name(epoch), problem);
    let bytes = storage.get(&record_name(epoch)).map_err(|error| fail(format!("cannot read it: {error}")))?;
    let Some(mut bytes) = bytes else { return Ok(None) };
    let content = bytes.len().checked_sub(32).filter(|end| *end >= MAGIC.len() && bytes.starts_with(MAGIC));
    let Some(end) = content else {
        return Err(fail("expected a record of isolane's journal, got something else: remove it".into()));
    };
    let seal = keccak(bytes.get(..end).unwrap_or_default());
    if bytes.get(end..) != Some(&seal.0[..]) {
        return Err(fail(
            "its hash does not fit its content: the file is damaged: remove it and those after it".into(),
        ));
    }
    bytes.truncate(end);
    bytes.drain(..MAGIC.len());
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut storage = Folder::open(folder.path().join("journal")).expect("a folder");
        assert_eq!(get(&storage, 1), Ok(None));
        put(&mut storage, 1, b"what happened").expect("written");
        assert_eq!(get(&storage, 1), Ok(Some(b"what happened".to_vec())));
        let path = folder.path().join("journal").join(record_name(1));
        let good = fs::read(&path).expect("a file");
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(&path, &bad).expect("written");
            assert!(get(&storage, 1).is_err(), "bit 0 of byte {index}");
            fs::write(&path, &good[..index]).expect("written");
            assert!(get(&storage, 1).is_err(), "cut at {index}");
        }
        storage.remove(&record_name(1)).expect("removed");
        assert_eq!(get(&storage, 1), Ok(None));
    }
}
