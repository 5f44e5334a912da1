//! Finds the documents under given paths: JSON files, compressed or not, in folders and in tar packs.
//!
//! The order is that of the paths, sorted within folders, and that of the pack within packs. Documents are handed out
//! one by one, so that memory is bounded by the largest of them. What is neither JSON nor a pack is counted, not read.

use super::json::MAX_DOCUMENT;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most bytes that one compressed file may decompress to.
pub const MAX_OUTPUT: u64 = 16 << 30;
/// The most bytes that one compressed byte may stand for, beyond [`FREE_OUTPUT`].
pub const MAX_RATIO: u64 = 1000;
/// Bytes that a compressed file may decompress to whatever its ratio.
pub const FREE_OUTPUT: u64 = 64 << 20;
/// The largest zstd window: 64 MiB, what the official packs are compressed with.
const WINDOW_LOG: u32 = 26;
/// The most entries of a folder tree, and of one pack.
const MAX_ENTRIES: usize = 4_000_000;
/// The deepest folder.
const MAX_DEPTH: usize = 64;

/// A document and its name: the path, and for a member of a pack `PACK:MEMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The file on disk.
    pub path: PathBuf,
    /// Its path, and for a member of a pack `PACK:MEMBER`.
    pub name: String,
    /// The content, decompressed.
    pub bytes: Vec<u8>,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: offset {offset}: {problem}")]
pub struct ArchiveError {
    /// The file, and for a member of a pack `PACK:MEMBER`.
    pub file: String,
    /// Where in the file (not decompressed) reading stopped.
    pub offset: u64,
    /// What is wrong.
    pub problem: ArchiveProblem,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveProblem {
    /// It is not there, or cannot be opened.
    #[error("cannot open: {0}")]
    Open(String),
    /// It breaks off or is damaged.
    #[error("expected {expected}, got {got}")]
    Damaged {
        /// The format.
        expected: &'static str,
        /// What the reader found.
        got: String,
    },
    /// It, or what it unpacks to, is too large.
    #[error("expected at most {limit} bytes, got more; unpack it and pass the parts")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It unpacks to more than [`MAX_RATIO`] times its size.
    #[error("expected at most {limit} bytes for each compressed byte, got more")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// Too many files or folders too deep.
    #[error("expected at most {limit} {what}, got more")]
    TooMany {
        /// Files or levels.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A path that was given is of no known form.
    #[error("expected a folder, .json, .json.zst, .tar or .tar.zst, got something else")]
    UnknownForm,
}

/// What [`walk`] passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Documents handed out.
    pub documents: u64,
    /// Files that are neither JSON nor a pack (readmes, licences, links).
    pub ignored: u64,
}

/// Hands out every document under `paths`. An error ends the file that it is in; the walk goes on with the next one.
/// `visit` may end the walk.
pub fn walk(paths: &[PathBuf], mut visit: impl FnMut(Result<Document, ArchiveError>) -> ControlFlow<()>) -> Walked {
    let mut walk = Walk { visit: &mut visit, file: PathBuf::new(), walked: Walked::default() };
    for path in paths {
        if walk.given(path).is_break() {
            break;
        }
    }
    walk.walked
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    JsonZst,
    Tar,
    TarZst,
}

impl Form {
    fn of(path: &str) -> Option<Self> {
        let lower = path.to_ascii_lowercase();
        let forms = [
            (".json", Self::Json),
            (".json.zst", Self::JsonZst),
            (".tar", Self::Tar),
            (".tar.zst", Self::TarZst),
            (".tzst", Self::TarZst),
        ];
        forms.into_iter().find(|(suffix, _)| lower.ends_with(suffix)).map(|(_, form)| form)
    }
}

struct Walk<'a> {
    visit: &'a mut dyn FnMut(Result<Document, ArchiveError>) -> ControlFlow<()>,
    /// The file that is being read.
    file: PathBuf,
    walked: Walked,
}

impl Walk<'_> {
    fn fail(&mut self, file: &str, offset: u64, problem: ArchiveProblem) -> ControlFlow<()> {
        (self.visit)(Err(ArchiveError { file: file.to_owned(), offset, problem }))
    }

    fn found(&mut self, name: String, bytes: Vec<u8>) -> ControlFlow<()> {
        self.walked.documents += 1;
        let path = self.file.clone();
        (self.visit)(Ok(Document { path, name, bytes }))
    }

    fn given(&mut self, path: &Path) -> ControlFlow<()> {
        let name = path.display().to_string();
        match fs::metadata(path) {
            Err(error) => self.fail(&name, 0, ArchiveProblem::Open(error.to_string())),
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(_) => match Form::of(&name) {
                None => self.fail(&name, 0, ArchiveProblem::UnknownForm),
                Some(form) => self.file(path, form),
            },
        }
    }

    /// A folder and all below it, depth first, sorted by name. Links are not followed: they could lead in circles.
    fn folder(&mut self, top: &Path) -> ControlFlow<()> {
        let mut open = vec![(top.to_owned(), 0usize)];
        let mut seen = 0usize;
        while let Some((path, depth)) = open.pop() {
            let name = path.display().to_string();
            let kind = if depth == 0 { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
            match kind {
                Err(error) => self.fail(&name, 0, ArchiveProblem::Open(error.to_string()))?,
                Ok(metadata) if metadata.is_dir() => {
                    if depth > MAX_DEPTH {
                        self.fail(&name, 0, ArchiveProblem::TooMany { what: "levels of folders", limit: MAX_DEPTH })?;
                        continue;
                    }
                    let entries = fs::read_dir(&path).and_then(|entries| {
                        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
                    });
                    match entries {
                        Err(error) => self.fail(&name, 0, ArchiveProblem::Open(error.to_string()))?,
                        Ok(mut entries) => {
                            seen += entries.len();
                            if seen > MAX_ENTRIES {
                                return self.fail(
                                    &name,
                                    0,
                                    ArchiveProblem::TooMany { what: "files", limit: MAX_ENTRIES },
                                );
                            }
                            entries.sort_unstable();
                            open.extend(entries.into_iter().rev().map(|entry| (entry, depth + 1)));
                        }
                    }
                }
                Ok(metadata) if metadata.is_file() => match Form::of(&name) {
                    Some(form) => self.file(&path, form)?,
                    None => self.walked.ignored += 1,
                },
                Ok(_) => self.walked.ignored += 1,
            }
        }
        ControlFlow::Continue(())
    }

    fn file(&mut self, path: &Path, form: Form) -> ControlFlow<()> {
        path.clone_into(&mut self.file);
        let name = path.display().to_string();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.fail(&name, 0, ArchiveProblem::Open(error.to_string())),
        };
        let counted = Counted { inner: BufReader::with_capacity(1 << 16, file), offset: Arc::default() };
        let offset = counted.offset.clone();
        match form {
            Form::Json => self.document(name, counted, &offset),
            Form::Tar => self.tar(&name, counted, &offset),
            Form::JsonZst | Form::TarZst => match decompress(counted) {
                Err(error) => self.fail(&name, 0, problem(&error, "zstd")),
                Ok(reader) if form == Form::JsonZst => self.document(name, reader, &offset),
                Ok(reader) => self.tar(&name, reader, &offset),
            },
        }
    }

    fn document(&mut self, name: String, reader: impl Read, offset: &AtomicU64) -> ControlFlow<()> {
        match read_document(reader, 0) {
            Ok(bytes) => self.found(name, bytes),
            Err(error) => self.fail(&name, offset.load(Ordering::Relaxed), problem(&error, "a readable file")),
        }
    }

    fn tar(&mut self, pack: &str, reader: impl Read, offset: &AtomicU64) -> ControlFlow<()> {
        let at = || offset.load(Ordering::Relaxed);
        let mut archive = tar::Archive::new(reader);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.fail(pack, at(), problem(&error, "a tar archive")),
        };
        let mut seen = 0usize;
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // The archive's own framing is broken: nothing after this can be trusted.
                Err(error) => return self.fail(pack, at(), problem(&error, "a tar entry")),
            };
            seen += 1;
            if seen > MAX_ENTRIES {
                return self.fail(pack, at(), ArchiveProblem::TooMany { what: "entries", limit: MAX_ENTRIES });
            }
            let kind = entry.header().entry_type();
            if kind.is_dir() {
                continue;
            }
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !kind.is_file() || Form::of(&member) != Some(Form::Json) {
                self.walked.ignored += 1;
                continue;
            }
            let name = format!("{pack}:{member}");
            let size = entry.size();
            match read_document(entry, size) {
                Ok(bytes) if bytes.len() as u64 == size => self.found(name, bytes)?,
                Ok(bytes) => {
                    let got = format!("{} of {size} bytes", bytes.len());
                    return self.fail(&name, at(), ArchiveProblem::Damaged { expected: "a whole tar entry", got });
                }
                Err(error) => return self.fail(&name, at(), problem(&error, "a whole tar entry")),
            }
        }
        if seen == 0 {
            let got = "none".to_owned();
            return self.fail(pack, at(), ArchiveProblem::Damaged { expected: "a tar archive with entries", got });
        }
        ControlFlow::Continue(())
    }
}

/// Counts what was read, for errors and for the ratio.
struct Counted<R> {
    inner: R,
    offset: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.offset.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Refuses to hand out more than the caps allow.
struct Capped<R> {
    inner: R,
    input: Arc<AtomicU64>,
    output: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.output += read as u64;
        if self.output > MAX_OUTPUT {
            return Err(io::Error::other(ArchiveProblem::TooLarge { limit: MAX_OUTPUT }));
        }
        if self.output > FREE_OUTPUT + MAX_RATIO * self.input.load(Ordering::Relaxed) {
            return Err(io::Error::other(ArchiveProblem::Ratio { limit: MAX_RATIO }));
        }
        Ok(read)
    }
}

fn decompress<R: Read>(reader: Counted<R>) -> io::Result<impl Read> {
    let input = reader.offset.clone();
    let mut decoder = zstd::stream::read::Decoder::new(reader)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(Capped { inner: decoder, input, output: 0 })
}

/// Reads to the end, at most [`MAX_DOCUMENT`] bytes. `size` is only a hint: it comes from the input.
fn read_document(reader: impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize);
    reader.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_DOCUMENT {
        return Err(io::Error::other(ArchiveProblem::TooLarge { limit: MAX_DOCUMENT as u64 }));
    }
    Ok(bytes)
}

/// The problem that an error of a reader stands for; our own come back out of the readers that they passed through.
fn problem(error: &io::Error, expected: &'static str) -> ArchiveProblem {
    let mut source: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = source {
        if let Some(problem) = inner.downcast_ref::<ArchiveProblem>() {
            return problem.clone();
        }
        source = match inner.downcast_ref::<io::Error>() {
            Some(nested) => nested.get_ref().map(|inner| inner as _),
            None => inner.source(),
        };
    }
    ArchiveProblem::Damaged { expected, got: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(paths: &[PathBuf]) -> (Vec<Document>, Vec<ArchiveError>, Walked) {
        let (mut documents, mut errors) = (Vec::new(), Vec::new());
        let walked = walk(paths, |result| {
            match result {
                Ok(document) => documents.push(document),
                Err(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        (documents, errors, walked)
    }

    fn pack(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn all_forms_in_a_stable_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::write(at("b/2.json"), b"{\"2\":2}").unwrap();
        fs::write(at("b/1.json.zst"), zstd::encode_all(&b"{\"1\":1}"[..], 3).unwrap()).unwrap();
        let long = format!("{}/x.json", "deep".repeat(40));
        let tar = pack(&[("z.json", b"{}"), ("README", b"text"), (&long, b"[1]")]);
        fs::write(at("c.tar"), &tar).unwrap();
        fs::write(at("a.tar.zst"), zstd::encode_all(&tar[..], 3).unwrap()).unwrap();
        fs::write(at("notes.txt"), b"text").unwrap();
        let (documents, errors, walked) = collect(&[folder.path().to_owned()]);
        assert_eq!(errors, []);
        let prefix = format!("{}/", folder.path().display());
        let names: Vec<_> = documents.iter().map(|document| document.name.strip_prefix(&prefix).unwrap()).collect();
        let (a, c) = (format!("a.tar.zst:{long}"), format!("c.tar:{long}"));
        assert_eq!(names, ["a.tar.zst:z.json", &a, "b/1.json.zst", "b/2.json", "c.tar:z.json", &c]);
        assert_eq!(documents[2].bytes, b"{\"1\":1}");
        assert_eq!(walked, Walked { documents: 6, ignored: 3 });
    }

    #[test]
    fn damage_is_one_error_with_an_offset_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let noise: Vec<u8> = (0..20_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let tar = pack(&[("a.json", b"{}"), ("b.json", &noise)]);
        let compressed = zstd::encode_all(&tar[..], 3).unwrap();
        fs::write(at("1.tar.zst"), &compressed[..compressed.len() / 2]).unwrap();
        fs::write(at("2.tar"), &tar[..tar.len() / 2]).unwrap();
        fs::write(at("3.tar.zst"), b"no zstd at all").unwrap();
        fs::write(at("4.json"), b"{}").unwrap();
        fs::write(at("5.tar"), b"").unwrap();
        let (documents, errors, _) = collect(&[folder.path().to_owned(), at("missing"), at("4.json")]);
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(documents.iter().filter(|document| document.name.ends_with("4.json")).count() == 2);
        assert!(errors[0].file.contains("1.tar.zst") && errors[0].offset > 0, "{}", errors[0]);
        assert!(matches!(errors[4].problem, ArchiveProblem::Open(_)));
        fs::write(at("x.bin"), b"").unwrap();
        assert_eq!(collect(&[at("x.bin")]).1[0].problem, ArchiveProblem::UnknownForm);
    }

    #[test]
    fn bombs_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bomb = folder.path().join("bomb.json.zst");
        let zeros = zstd::encode_all(io::repeat(b'0').take(FREE_OUTPUT * 3), 3).unwrap();
        fs::write(&bomb, &zeros).unwrap();
        let (documents, errors, _) = collect(&[bomb]);
        assert!(documents.is_empty());
        assert_eq!(errors[0].problem, ArchiveProblem::Ratio { limit: MAX_RATIO });
    }
}
