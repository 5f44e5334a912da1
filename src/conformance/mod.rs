//! Runs the official fixtures and says what differs.
//!
//! A case is the smallest thing that passes or fails: one choice of data, gas and value of a state test, one blockchain
//! test, one fork of a transaction test, one basic test. A case passes only if all that its fixture says was checked.

mod basic;
mod batch;
mod blockchain;
mod list;
mod runner;
mod state;
pub mod summary;
mod transaction;

pub use list::Selection;
pub use runner::{Options, SharedBackend, Stopped, run};
pub use state::address_of;

use crate::load::archive::ArchiveError;
use crate::load::fixtures::Kind;
use crate::load::json::JsonError;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Something that is not as the fixture says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: String,
    /// What the fixture says.
    pub expected: String,
    /// What was computed.
    pub got: String,
}

impl Difference {
    fn new(what: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { what: what.into(), expected: expected.to_string(), got: got.to_string() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, got) = shorten(&self.expected, &self.got);
        write!(f, "{}: expected {expected}, got {got}", self.what)
    }
}

/// The longest value that is shown whole, in bytes.
const SHOWN: usize = 160;

/// Two long values from a little before where they first differ.
fn shorten<'a>(expected: &'a str, got: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    let common = expected.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
    let start = common.saturating_sub(SHOWN / 4);
    let cut = |text: &'a str| {
        if text.len() <= SHOWN {
            return Cow::Borrowed(text);
        }
        let part: String = text.char_indices().skip_while(|(at, _)| *at < start).map(|(_, c)| c).take(SHOWN).collect();
        let before = if start > 0 { "…" } else { "" };
        let after = if start + SHOWN < text.len() { "…" } else { "" };
        Cow::Owned(format!("{before}{part}{after}"))
    };
    (cut(expected), cut(got))
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that the fixture says was checked and holds.
    Passed,
    /// Something does not hold.
    Failed(Vec<Difference>),
    /// The fixture itself cannot be read.
    Malformed(JsonError),
    /// Nothing that was checked is wrong, but this could not be checked.
    Unchecked(String),
}

impl Verdict {
    /// Says in which document something malformed is.
    fn in_file(self, file: &str) -> Self {
        match self {
            Self::Malformed(error) => Self::Malformed(error.in_file(file)),
            other => other,
        }
    }
}

/// A case and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The kind of fixture; `None` where that cannot be told.
    pub kind: Option<Kind>,
    /// The fork or network, as the fixture names it; `-` where it has none.
    pub fork: String,
    /// The file on disk.
    pub path: PathBuf,
    /// The document: a file, or `PACK:MEMBER`.
    pub file: String,
    /// The case's name within the document.
    pub case: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

impl Record {
    /// The name that selects this case alone: see [`Selection`].
    #[must_use]
    pub fn id(&self) -> String {
        list::id(&self.file, &self.case)
    }

    /// The command that runs this case alone.
    #[must_use]
    pub fn command(&self) -> String {
        let path = self.path.display().to_string();
        let member = self.file.strip_prefix(&path).unwrap_or_default().trim_start_matches(':');
        format!("isolane test {} --filter {}", shell(&path), shell(&list::id(member, &self.case)))
    }
}

/// A word as a POSIX shell reads it.
fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What a run reports as it happens, in no particular order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A case ended.
    Case(Record),
    /// A case exists (only with [`Options::list`]).
    Listed(Record),
    /// A file could not be read: archive damage.
    Unreadable(ArchiveError),
    /// A document is no fixture: malformed JSON, or no tests.
    NoFixture(JsonError),
}

/// Collects differences.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn check<T: PartialEq + fmt::Debug>(&mut self, what: &str, expected: T, got: T) {
        if expected != got {
            self.0.push(Difference::new(what, format!("{expected:?}"), format!("{got:?}")));
        }
    }

    fn push(&mut self, what: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) {
        self.0.push(Difference::new(what, expected, got));
    }

    fn verdict(self) -> Verdict {
        if self.0.is_empty() { Verdict::Passed } else { Verdict::Failed(self.0) }
    }
}

/// Whether one of the reasons that a fixture joins with `|` is among the names that isolane's reason has.
fn is_expected(expected: &str, names: &[&str]) -> bool {
    expected.split('|').any(|reason| names.contains(&reason.trim()))
}
