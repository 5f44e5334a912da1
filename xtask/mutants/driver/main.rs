//! Looks for each planted bug as `isolane diff` would: the edge sweep, the bundled corpus, programs, state tests and
//! mutations, with its default budget and seed, until the first difference from the reference. One line of JSON a bug.

use isolane::cpu::Reference;
use isolane::diff::case::{Case, batch};
use isolane::diff::compare::{Exactness, same};
use isolane::diff::generate::Generator;
use isolane::diff::oracle::Revm;
use isolane::diff::run::{Executed, differing};
use isolane::diff::{edge, load, mutate};
use isolane::spec::{Backend, Batch, ExecutionError, Fork};
use isolane_planted::planted;
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What `isolane diff` runs by default.
const SEED: u64 = 1;
const PROGRAMS: u64 = 200_000;
const MUTATIONS: u64 = 40_000;
/// Cases of one batch.
const CHUNK: u64 = 1024;
/// Chunks of programs whose expected outcomes are kept for the next bug.
const KEPT: usize = 24;
/// A bug that takes longer has made the planted backend run forever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Cases with what the reference makes of them.
struct Chunk {
    cases: Vec<Case>,
    batch: Batch,
    expected: Vec<Executed>,
}

impl Chunk {
    fn new(cases: Vec<Case>) -> Self {
        let batch = batch(&cases);
        let expected = Reference.execute(&batch);
        Self { cases, batch, expected }
    }

    /// The first case in which the planted backend differs, with the field.
    fn look(&self) -> Option<Shown> {
        let results = isolane_planted::Reference.execute(&self.batch);
        let mut position = 0;
        for (index, case) in self.cases.iter().enumerate() {
            let range = position..position + case.transactions.len();
            position = range.end;
            let pairs = self.expected[range.clone()].iter().zip(&results[range.clone()]);
            let Some((left, right)) = pairs.clone().find(|(left, right)| left != right) else { continue };
            let field = differing(left, right, Exactness::Everything).first().map(|difference| difference.path.clone());
            return Some(Shown { index: index as u64, field, revm: by_revm(case, &results[range]) });
        }
        (results.len() != self.expected.len()).then_some(Shown { index: 0, field: None, revm: None })
    }
}

struct Shown {
    index: u64,
    field: Option<String>,
    revm: Option<bool>,
}

/// Whether revm differs from these results in the case; nothing where it cannot judge all that comes before.
fn by_revm(case: &Case, results: &[Executed]) -> Option<bool> {
    let judged = Revm.execute(&batch(std::slice::from_ref(case)));
    for (left, right) in judged.iter().zip(results) {
        match (left, right) {
            (Err(ExecutionError::Unsupported(_)), _) => return None,
            (Ok(left), Ok(right)) if same(left, right, Exactness::Reasons) => {}
            _ => return Some(true),
        }
    }
    Some(false)
}

struct Found {
    part: &'static str,
    after: u64,
    shown: Shown,
}

/// What all bugs are looked for with.
struct Looker {
    sweep: Vec<Chunk>,
    corpus: Vec<Chunk>,
    programs: Vec<Chunk>,
    fixtures: Vec<Chunk>,
    sources: Vec<Case>,
    generator: Generator,
}

fn chunks(cases: Vec<Case>) -> Vec<Chunk> {
    cases.chunks(CHUNK as usize).map(|chunk| Chunk::new(chunk.to_vec())).collect()
}

fn state_tests(folder: PathBuf) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    load::state_tests(&[folder], |found| cases.extend(found)).map_err(|problem| problem.to_string())?;
    Ok(cases)
}

impl Looker {
    fn new(testdata: &Path) -> Result<Self, String> {
        let corpus = state_tests(testdata.join("diff"))?;
        let fixtures = state_tests(testdata.join("state"))?;
        let (sweep, _) = edge::sweep(Fork::Osaka);
        Ok(Self {
            sources: corpus.iter().chain(&fixtures).filter(|case| !case.transactions.is_empty()).cloned().collect(),
            sweep: chunks(sweep),
            corpus: chunks(corpus),
            programs: Vec::new(),
            fixtures: chunks(fixtures),
            generator: Generator::new(SEED, &Fork::ALL),
        })
    }

    fn program_chunk(&self, number: u64) -> Chunk {
        let range = number * CHUNK..(number * CHUNK + CHUNK).min(PROGRAMS);
        Chunk::new(range.into_par_iter().map(|index| self.generator.case(index)).collect())
    }

    fn look(&mut self) -> Option<Found> {
        let ready = |part, chunks: &[Chunk]| {
            chunks.iter().enumerate().find_map(|(number, chunk)| {
                let shown = chunk.look()?;
                Some(Found { part, after: number as u64 * CHUNK + shown.index + 1, shown })
            })
        };
        if let Some(found) = ready("edge sweep", &self.sweep).or_else(|| ready("corpus", &self.corpus)) {
            return Some(found);
        }
        for number in 0..PROGRAMS.div_ceil(CHUNK) {
            if number as usize == self.programs.len() && self.programs.len() < KEPT {
                let chunk = self.program_chunk(number);
                self.programs.push(chunk);
            }
            let shown = match self.programs.get(number as usize) {
                Some(chunk) => chunk.look(),
                None => self.program_chunk(number).look(),
            };
            if let Some(shown) = shown {
                return Some(Found { part: "programs", after: number * CHUNK + shown.index + 1, shown });
            }
        }
        if let Some(found) = ready("state tests", &self.fixtures) {
            return Some(found);
        }
        for start in (0..MUTATIONS).step_by(CHUNK as usize) {
            let cases = (start..(start + CHUNK).min(MUTATIONS))
                .into_par_iter()
                .filter_map(|index| mutate::mutated(SEED, index, &self.sources, &Fork::ALL))
                .collect();
            if let Some(shown) = Chunk::new(cases).look() {
                return Some(Found { part: "mutations", after: start + shown.index + 1, shown });
            }
        }
        None
    }
}

/// Ends the process where a bug never ends.
fn watch(running: &'static AtomicUsize) {
    std::thread::spawn(move || {
        let mut last = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = running.load(Ordering::SeqCst);
            if now != last.0 {
                last = (now, Instant::now());
            } else if now != 0 && last.1.elapsed() > PATIENCE {
                let (_, name) = planted::NAMES[now - 1];
                eprintln!("error: {name:?} runs for more than {} seconds: plant one that ends", PATIENCE.as_secs());
                std::process::exit(3);
            }
        }
    });
}

fn main() -> Result<(), String> {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [list, testdata] = arguments.as_slice() else {
        return Err("expected the list of bugs and the folder of test data".into());
    };
    let numbers = std::fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut looker = Looker::new(testdata)?;
    // Bugs may panic; the backend contains that, and its outcome shows it.
    std::panic::set_hook(Box::new(|_| {}));
    // Without a bug nothing differs: what is found is the bug's.
    if let Some(found) = [&looker.sweep, &looker.corpus, &looker.fixtures].iter().find_map(|chunks| chunks.iter().find_map(Chunk::look)) {
        return Err(format!("the copy differs from the reference without any bug, in {:?}", found.field));
    }
    watch(&RUNNING);
    for number in numbers.split_whitespace() {
        let number: usize = number.parse().map_err(|error| format!("{number:?}: {error}"))?;
        let (_, name) = planted::NAMES.get(number.wrapping_sub(1)).ok_or("no such bug")?;
        let start = Instant::now();
        planted::activate(number);
        RUNNING.store(number, Ordering::SeqCst);
        let found = looker.look();
        RUNNING.store(0, Ordering::SeqCst);
        planted::activate(0);
        let seconds = start.elapsed().as_secs_f64();
        let line = json!({
            "number": number,
            "part": found.as_ref().map(|found| found.part),
            "after": found.as_ref().map_or(0, |found| found.after),
            "field": found.as_ref().and_then(|found| found.shown.field.clone()),
            "revm": found.as_ref().and_then(|found| found.shown.revm),
            "seconds": seconds,
        });
        println!("{line}");
        if found.is_none() {
            eprintln!("not found: {name}");
        }
    }
    Ok(())
}
