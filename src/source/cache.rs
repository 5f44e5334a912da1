//! What was fetched before, in a content-addressed store on disk: a block's data never changes, so that it is asked for
//! once. Several processes may share a cache. What was damaged on disk is found by its hash and fetched again.

use std::path::{Path, PathBuf};

/// Compression of what is kept: fast, since it is read back as often as it is written.
const LEVEL: i32 = 3;
/// Longest document that is taken out.
const MOST: u64 = 4 << 30;

/// A cache cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: cannot write the cache: {reason}: is the disk full? (--no-cache works without it)", path = path.display())]
pub struct CacheError {
    path: PathBuf,
    reason: String,
}

/// Documents by key.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in a folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where caches are where nobody says otherwise: `$XDG_CACHE_HOME/isolane`, or `~/.cache/isolane`.
    #[must_use]
    pub fn default_folder() -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|folder| folder.join("isolane"))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The document with this key; `None` where there is none that is whole.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let packed = cacache::read_sync(&self.folder, key).ok()?;
        let mut document = Vec::new();
        let reader = zstd::Decoder::new(&packed[..]).ok()?;
        std::io::Read::read_to_end(&mut std::io::Read::take(reader, MOST), &mut document).ok()?;
        Some(document)
    }

    /// Keeps a document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, key: &str, document: &[u8]) -> Result<(), CacheError> {
        let failed = |reason: String| CacheError { path: self.folder.clone(), reason };
        let packed = zstd::encode_all(document, LEVEL).map_err(|error| failed(error.to_string()))?;
        cacache::write_sync(&self.folder, key, packed).map(|_| ()).map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_unless_it_is_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path());
        assert_eq!(cache.get("a"), None);
        cache.put("a", b"one").expect("kept");
        cache.put("b", b"two").expect("kept");
        assert_eq!(cache.get("a").as_deref(), Some(&b"one"[..]));
        cache.put("a", b"three").expect("kept");
        assert_eq!(cache.get("a").as_deref(), Some(&b"three"[..]));
        // Every stored file is spoiled.
        let mut folders = vec![folder.path().join("content-v2")];
        while let Some(path) = folders.pop() {
            for entry in std::fs::read_dir(path).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    std::fs::write(&path, b"spoiled").expect("written");
                }
            }
        }
        assert_eq!((cache.get("a"), cache.get("b")), (None, None));
    }

    #[test]
    fn a_cache_that_cannot_be_written_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, b"").expect("written");
        let error = Cache::new(&file).put("a", b"one").expect_err("not a folder").to_string();
        assert!(error.contains("cannot write the cache") && error.contains("--no-cache"), "{error}");
    }
}
