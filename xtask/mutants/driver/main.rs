//! Looks for each planted bug as `isolane diff` would: the edge sweep, the bundled corpus, programs, state tests and
//! mutations, with its default budget and seed, until the first difference from the reference; for bugs of the backend
//! `lockstep` also programs in groups, and for all restricted programs. One line of JSON a bug.

use isolane::cpu::Reference;
use isolane::cpu::lockstep::SimdLevel;
use isolane::diff::case::{Case, batch};
use isolane::diff::compare::{Exactness, same};
use isolane::diff::generate::Generator;
use isolane::diff::levels::{Level, Levels};
use isolane::diff::oracle::Revm;
use isolane::diff::run::{Executed, differing};
use isolane::diff::{alike, edge, load, mutate, restrict, sequences};
use isolane::spec::{Backend, Batch, ExecutionError, Fork, Transaction};
use isolane_planted::lockstep::{Leave, SimdLevel as PlantedLevel};
use isolane_planted::{Available, InParallel, Machine, Sequence, planted};
use rayon::prelude::*;
use serde_json::json;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What `isolane diff` runs by default.
const SEED: u64 = 1;
const PROGRAMS: u64 = 200_000;
const MUTATIONS: u64 = 40_000;
/// Programs that have copies, and programs that are restricted.
const GROUPS: u64 = PROGRAMS.div_ceil(alike::COPIES);
const RESTRICTED: u64 = PROGRAMS.div_ceil(restrict::EVERY);
const SEQUENCES: u64 = PROGRAMS.div_ceil(sequences::EVERY);
/// Cases of one batch.
const CHUNK: u64 = 1024;
/// Chunks of programs whose expected outcomes are kept for the next bug.
const KEPT: usize = 24;
/// Chunks that were looked at: where it stands still, nothing ends.
static LOOKS: AtomicUsize = AtomicUsize::new(0);
/// A bug with which one chunk takes longer has made the planted backend run forever.
const PATIENCE: Duration = Duration::from_secs(120);

/// A backend of the copy.
enum Planted {
    Reference,
    Lockstep(Levels),
    /// The reference with all that is possible executed ahead of its turn.
    Ahead,
}

impl Planted {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "reference" => Ok(Self::Reference),
            "ahead" => Ok(Self::Ahead),
            "lockstep" => Ok(Self::Lockstep(Levels::new(levels()))),
            _ => Err(format!("no backend {name:?}")),
        }
    }

    fn execute(&self, batch: &Batch) -> Vec<Executed> {
        match self {
            Self::Reference => isolane_planted::Reference.execute(batch),
            Self::Lockstep(lockstep) => lockstep.execute(batch),
            Self::Ahead => ahead(batch),
        }
    }

    /// Whether it groups transactions.
    fn groups(&self) -> bool {
        matches!(self, Self::Lockstep(_))
    }
}

/// The transactions of one environment after the other, ahead of their turn.
fn ahead(batch: &Batch) -> Vec<Executed> {
    let mut results = Vec::with_capacity(batch.transactions.len());
    for (index, environment) in batch.environments.iter().enumerate() {
        let here = batch.transactions.iter().filter(|(of, _)| *of as usize == index);
        let transactions: Vec<&Transaction> = here.map(|(_, transaction)| transaction).collect();
        let mut available = Available::of(environment);
        let mut machine = Machine::new(environment.clone());
        let mut sequence = Sequence::new(&transactions, InParallel::Always);
        for (number, transaction) in transactions.iter().enumerate() {
            // As the tester does with its sequences.
            if number % 2 == 1 {
                sequence.settle();
            }
            let next = catch_unwind(AssertUnwindSafe(|| sequence.next(&mut machine, available)));
            let lost = || Err(ExecutionError::Panic("a transaction was lost".to_owned()));
            let result = next.ok().flatten().unwrap_or_else(lost);
            available = available.after(&result, transaction);
            results.push(result);
        }
    }
    results
}

/// The copy's lanes in lockstep, at each level of instructions that the machine has.
fn levels() -> Vec<Level> {
    let level = |level: SimdLevel| -> Level {
        let level =
            PlantedLevel::ALL.into_iter().find(|it| it.name() == level.name()).unwrap_or(PlantedLevel::Portable);
        let lockstep = isolane_planted::Lockstep::with_simd(level);
        Box::new(move |batch, sink| {
            lockstep.execute_told(batch, &|index, result, left| sink(index, result, left == Some(Leave::Failed)));
        })
    };
    Levels::here().into_iter().map(level).collect()
}

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
    fn look(&self, planted: &Planted) -> Option<Shown> {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        let results = planted.execute(&self.batch);
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
    programs: Kept,
    groups: Kept,
    restricted: Kept,
    sequences: Kept,
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
            programs: Kept::default(),
            groups: Kept::default(),
            restricted: Kept::default(),
            sequences: Kept::default(),
            fixtures: chunks(fixtures),
            generator: Generator::new(SEED, &Fork::ALL),
        })
    }

    fn look(&mut self, planted: &Planted) -> Option<Found> {
        let generator = &self.generator;
        if matches!(planted, Planted::Ahead) {
            let sequences = |programs: Range<u64>| {
                programs.into_par_iter().map(|index| sequences::sequence(generator, SEED, index)).collect()
            };
            return self.sequences.look("sequences", planted, SEQUENCES, CHUNK / 16, sequences);
        }
        let ready = |part, chunks: &[Chunk]| {
            chunks.iter().enumerate().find_map(|(number, chunk)| {
                let shown = chunk.look(planted)?;
                Some(Found { part, after: number as u64 * CHUNK + shown.index + 1, shown })
            })
        };
        if let Some(found) = ready("edge sweep", &self.sweep).or_else(|| ready("corpus", &self.corpus)) {
            return Some(found);
        }
        // What few bugs need comes before the many programs.
        let groups = |programs: Range<u64>| {
            programs.into_par_iter().flat_map(|index| alike::copies(generator, SEED, index)).collect()
        };
        if planted.groups()
            && let Some(found) = self.groups.look("programs in groups", planted, GROUPS, CHUNK / alike::COPIES, groups)
        {
            return Some(found);
        }
        let restricted = |programs: Range<u64>| {
            programs.into_par_iter().flat_map(|index| restrict::restricted(generator, SEED, index)).collect()
        };
        if let Some(found) = self.restricted.look("restricted programs", planted, RESTRICTED, CHUNK / 2, restricted) {
            return Some(found);
        }
        let programs = |programs: Range<u64>| programs.into_par_iter().map(|index| generator.case(index)).collect();
        if let Some(found) = self.programs.look("programs", planted, PROGRAMS, CHUNK, programs) {
            return Some(found);
        }
        if let Some(found) = ready("state tests", &self.fixtures) {
            return Some(found);
        }
        for start in (0..MUTATIONS).step_by(CHUNK as usize) {
            let cases = (start..(start + CHUNK).min(MUTATIONS))
                .into_par_iter()
                .filter_map(|index| mutate::mutated(SEED, index, &self.sources, &Fork::ALL))
                .collect();
            if let Some(shown) = Chunk::new(cases).look(planted) {
                return Some(Found { part: "mutations", after: start + shown.index + 1, shown });
            }
        }
        None
    }
}

/// Generated chunks, the first of which are kept for the next bug.
#[derive(Default)]
struct Kept(Vec<Chunk>);

impl Kept {
    /// Looks at the cases of so many programs, so many programs at a time.
    fn look(
        &mut self,
        part: &'static str,
        planted: &Planted,
        programs: u64,
        chunk: u64,
        make: impl Fn(Range<u64>) -> Vec<Case>,
    ) -> Option<Found> {
        let mut before = 0;
        (0..programs).step_by(chunk as usize).enumerate().find_map(|(number, start)| {
            let range = start..programs.min(start + chunk);
            if number == self.0.len() && number < KEPT {
                self.0.push(Chunk::new(make(range.clone())));
            }
            let new;
            let chunk = match self.0.get(number) {
                Some(chunk) => chunk,
                None => {
                    new = Chunk::new(make(range));
                    &new
                }
            };
            let shown = chunk.look(planted);
            let after = before + shown.as_ref().map_or(0, |shown| shown.index + 1);
            before += chunk.cases.len() as u64;
            Some(Found { part, after, shown: shown? })
        })
    }
}

/// Ends the process where a bug never ends.
fn watch(running: &'static AtomicUsize) {
    std::thread::spawn(move || {
        let mut last = ((0, 0), Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = running.load(Ordering::SeqCst);
            let looks = LOOKS.load(Ordering::SeqCst);
            if (now, looks) != last.0 {
                last = ((now, looks), Instant::now());
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
    for planted in [Planted::named("reference")?, Planted::named("lockstep")?] {
        let mut ready = [&looker.sweep, &looker.corpus, &looker.fixtures].into_iter().flatten();
        if let Some(found) = ready.find_map(|chunk| chunk.look(&planted)) {
            return Err(format!("the copy differs from the reference without any bug, in {:?}", found.field));
        }
    }
    watch(&RUNNING);
    for number in numbers.split_whitespace() {
        let number: usize = number.parse().map_err(|error| format!("{number:?}: {error}"))?;
        let (backend, name) = planted::NAMES.get(number.wrapping_sub(1)).ok_or("no such bug")?;
        let start = Instant::now();
        planted::activate(number);
        RUNNING.store(number, Ordering::SeqCst);
        let found = looker.look(&Planted::named(backend)?);
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
