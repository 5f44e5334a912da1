//! Streams documents from disk to the cores: bounded in memory, one case's failure contained.

use super::batch::{Batches, Chain, Pending};
use super::{Event, Record, Selection, Verdict, basic, blockchain, state, transaction};
use crate::load::archive::{self, Document, Walked};
use crate::load::fixtures::{self, Kind, Test};
use crate::load::json::{Json, JsonError};
use crate::trace::Tracing;
use isolane_spec::Backend;
use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of documents that are held at a time. Parsed, they take several times as much.
const IN_FLIGHT: usize = 128 << 20;
/// Stack of a worker: cases of one document may be stolen while another waits.
const STACK: usize = 64 << 20;

/// What to run and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which cases.
    pub selection: Selection,
    /// Threads; 0 = one per core.
    pub threads: usize,
    /// Only list the cases.
    pub list: bool,
    /// What executes the transactions of state and blockchain tests, in batches; `None`: the reference, one by one.
    pub backend: Option<SharedBackend>,
    /// Where the traces of the transactions of state and blockchain tests go, if they are traced.
    pub tracing: Option<Arc<Tracing>>,
}

/// A backend that several places hold.
#[derive(Clone)]
pub struct SharedBackend(pub Arc<dyn Backend + Send + Sync>);

impl std::fmt::Debug for SharedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A run could not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot start {threads} threads: {problem}")]
pub struct Stopped {
    threads: usize,
    problem: String,
}

/// Runs every selected case under `paths`. `report` is called from many threads, in no particular order.
///
/// # Errors
/// When no threads can be started. Everything else is an [`Event`].
pub fn run(paths: &[PathBuf], options: &Options, report: &(dyn Fn(Event) + Sync)) -> Result<Walked, Stopped> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .stack_size(STACK)
        .thread_name(|index| format!("case-{index}"))
        .build()
        .map_err(|error| Stopped { threads: options.threads, problem: error.to_string() })?;
    let batches = options.backend.as_ref().map(|backend| Batches::new(&*backend.0, report));
    let batches = batches.as_ref();
    let room = Room { free: Mutex::new(IN_FLIGHT), freed: Condvar::new() };
    // This thread reads and waits for room; the pool's threads never wait, so there is always room again.
    let walked = pool.in_place_scope(|scope| {
        archive::walk(paths, |document| {
            match document {
                Err(error) => report(Event::Unreadable(error)),
                Ok(document) if !options.selection.may_hold(&document.name) => {}
                Ok(document) => {
                    let taken = room.take(document.bytes.len());
                    let room = &room;
                    scope.spawn(move |_| {
                        run_document(&document, options, batches, report);
                        drop(document);
                        room.give(taken);
                    });
                }
            }
            ControlFlow::Continue(())
        })
    });
    if let Some(batches) = batches {
        pool.install(|| batches.flush());
    }
    Ok(walked)
}

/// Bytes that may still be read ahead.
struct Room {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    fn take(&self, bytes: usize) -> usize {
        let bytes = bytes.min(IN_FLIGHT);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        bytes
    }

    fn give(&self, bytes: usize) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.freed.notify_all();
    }
}

/// Where a case stands, for its record.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    path: &'a Path,
    file: &'a str,
    kind: Option<Kind>,
    options: &'a Options,
    batches: Option<&'a Batches<'a>>,
    report: &'a (dyn Fn(Event) + Sync),
}

impl Place<'_> {
    /// Runs one case if it is selected. A panic is this case's failure and nobody else's.
    pub(super) fn case(&self, case: &str, fork: &str, run: impl FnOnce() -> Verdict) {
        if !self.options.selection.holds(self.file, case, fork) {
            return;
        }
        let record = |verdict, elapsed| self.record(case, fork, verdict, elapsed);
        let start = Instant::now();
        if self.options.list {
            (self.report)(Event::Listed(record(Verdict::Passed, start.elapsed())));
            return;
        }
        let verdict = contained(run).in_file(self.file);
        (self.report)(Event::Case(record(verdict, start.elapsed())));
    }

    fn record(&self, case: &str, fork: &str, verdict: Verdict, elapsed: Duration) -> Record {
        Record {
            kind: self.kind,
            fork: fork.to_owned(),
            path: self.path.to_owned(),
            file: self.file.to_owned(),
            case: case.to_owned(),
            verdict,
            elapsed,
        }
    }

    /// Whether transactions run in batches.
    pub(super) const fn is_batched(&self) -> bool {
        self.batches.is_some() && self.options.tracing.is_none() && !self.options.list
    }

    /// Runs the transaction of one case with others, if it is selected.
    pub(super) fn deferred(&self, case: &str, fork: &str, prepare: impl FnOnce() -> Result<Pending, Verdict>) {
        let Some(batches) = self.batches.filter(|_| self.options.selection.holds(self.file, case, fork)) else {
            return;
        };
        let record = self.record(case, fork, Verdict::Passed, Duration::ZERO);
        match catch_unwind(AssertUnwindSafe(prepare)) {
            Ok(Ok(pending)) => batches.add(record, pending),
            Ok(Err(verdict)) => (self.report)(Event::Case(Record { verdict: verdict.in_file(self.file), ..record })),
            Err(panic) => (self.report)(Event::Case(Record { verdict: internal(panic.as_ref()), ..record })),
        }
    }

    /// Runs a blockchain test with others, if it is selected.
    pub(super) fn chained(&self, case: &str, fork: &str, chain: Chain) {
        if let Some(batches) = self.batches.filter(|_| self.options.selection.holds(self.file, case, fork)) {
            batches.add_chain(self.record(case, fork, Verdict::Passed, Duration::ZERO), chain);
        }
    }

    /// A test that cannot be read is one malformed case.
    pub(super) fn malformed(&self, name: &str, error: &JsonError) {
        self.case(name, "-", || Verdict::Malformed(error.clone().at(name)));
    }
}

/// Runs something whose panic is a failure of its case alone.
pub(super) fn contained(run: impl FnOnce() -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| internal(panic.as_ref()))
}

fn internal(panic: &(dyn Any + Send)) -> Verdict {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Verdict::Failed(vec![super::Difference::new("internal error (please report it)", "none", text)])
}

fn run_document(
    document: &Document,
    options: &Options,
    batches: Option<&Batches<'_>>,
    report: &(dyn Fn(Event) + Sync),
) {
    let file = document.name.as_str();
    let no_fixture = |error: JsonError| report(Event::NoFixture(error.in_file(file)));
    let json = match Json::parse(file, &document.bytes) {
        Ok(json) => json,
        Err(error) => return no_fixture(error),
    };
    let tests = match fixtures::tests(&json) {
        Ok(tests) => tests,
        Err(error) => return no_fixture(error),
    };
    rayon::scope(|scope| {
        for test in tests {
            scope.spawn(move |_| {
                let kind = test.kind.as_ref().ok().copied();
                run_test(&test, Place { path: &document.path, file, kind, options, batches, report });
            });
        }
    });
}

fn run_test(test: &Test<'_, '_>, place: Place<'_>) {
    let kind = match &test.kind {
        Ok(kind) => *kind,
        Err(error) => return place.malformed(&test.name, error),
    };
    if let Some(reason) = kind.why_not_run() {
        return place.case(&test.name, "-", || Verdict::Unchecked(reason.to_owned()));
    }
    match kind {
        Kind::State => state::run(test, place),
        Kind::Blockchain => blockchain::run(test, place),
        Kind::Transaction => transaction::run(test, place),
        _ => basic::run(test, kind, place),
    }
}

impl<'a> Place<'a> {
    /// The document's name.
    pub(super) const fn file(&self) -> &'a str {
        self.file
    }

    /// Where traces go.
    pub(super) fn tracing(&self) -> Option<&'a Tracing> {
        self.options.tracing.as_deref()
    }
}
