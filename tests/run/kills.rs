//! A run that is killed goes on to the same digest.

use super::world::{Numbers, plan, random_world, run};
use isolane::engine::journal::{Folder, Memory, Storage, record_name};
use isolane::engine::{Engine, EngineError, EpochReport, Sink};
use isolane::load::typed::InputError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// Records that outlive the engine, with a crash at one of the operations.
#[derive(Clone, Default)]
struct Crashing {
    records: Arc<Mutex<Memory>>,
    /// Operations until the crash, and whether it comes after the record is kept.
    left: Arc<Mutex<Option<(u64, bool)>>>,
}

impl Crashing {
    fn crash() -> io::Error {
        io::Error::other("crash")
    }
}

impl Storage for Crashing {
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut left = self.left.lock().expect("whole");
        let now = match &mut *left {
            Some((0, after)) => Some(*after),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if now == Some(false) {
            return Err(Self::crash());
        }
        self.records.lock().expect("whole").put(name, bytes)?;
        if now == Some(true) { Err(Self::crash()) } else { Ok(()) }
    }
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.records.lock().expect("whole").get(name)
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.records.lock().expect("whole").remove(name)
    }
    fn name(&self) -> String {
        "crashing".to_owned()
    }
}

/// Writes down what each epoch came to, and crashes before an epoch is done.
struct Notes {
    seen: Arc<Mutex<BTreeMap<u64, String>>>,
    crash_in: Option<u64>,
}

impl Sink for Notes {
    fn epoch(&mut self, report: &EpochReport) -> Result<(), InputError> {
        let text = isolane::report::run::outcome_lines(report);
        self.seen.lock().expect("whole").insert(report.epoch, text);
        if self.crash_in == Some(report.epoch) { Err(InputError::at("", "crash")) } else { Ok(()) }
    }
}

fn finish(engine: &mut Engine) -> Result<(), EngineError> {
    while !engine.is_idle() && engine.epoch() < 300 {
        engine.step()?;
    }
    Ok(())
}

#[test]
fn a_run_with_many_crashes_ends_like_one_without() {
    for seed in 2000..2020 {
        let text = random_world(seed, 6);
        let fresh = || plan(&text).engine().expect("an engine");
        let (mut whole, expected_notes) = (fresh(), Arc::default());
        whole.set_sink(Box::new(Notes { seen: Arc::clone(&expected_notes), crash_in: None }));
        finish(&mut whole).expect("no crash");

        let (records, notes) = (Crashing::default(), Arc::<Mutex<BTreeMap<u64, String>>>::default());
        let mut numbers = Numbers(seed);
        let mut crashes = 0;
        loop {
            let mut engine = fresh();
            *records.left.lock().expect("whole") = None;
            let resumed = engine.resume(Box::new(records.clone())).expect("the journal is good");
            assert_eq!(resumed, engine.epoch());
            let crash_in = (numbers.below(3) == 0).then(|| engine.epoch() + numbers.below(3));
            engine.set_sink(Box::new(Notes { seen: Arc::clone(&notes), crash_in }));
            // Each time a little further, so that the test ends.
            *records.left.lock().expect("whole") = Some((numbers.below(3), numbers.below(2) == 0));
            match finish(&mut engine) {
                Err(_) => crashes += 1,
                Ok(()) => {
                    assert_eq!(engine.digest(), whole.digest(), "seed {seed} after {crashes} crashes");
                    for name in whole.names() {
                        let of = |engine: &Engine| {
                            let stats = engine.stats(name).expect("there").clone();
                            (engine.state_root(name).expect("there"), stats, engine.pending(name).expect("there"))
                        };
                        assert_eq!(of(&engine), of(&whole), "seed {seed}: {name}");
                    }
                    assert_eq!(engine.flows(), whole.flows(), "seed {seed}");
                    break;
                }
            }
        }
        assert!(crashes > 0, "seed {seed}: nothing crashed");
        assert_eq!(*notes.lock().expect("whole"), *expected_notes.lock().expect("whole"), "seed {seed}: outcomes");
    }
}

/// The digest and the outcomes in a folder of results.
fn results(folder: &Path) -> (String, BTreeMap<String, Vec<u8>>, serde_json::Value) {
    let text = fs::read_to_string(folder.join("report.json")).expect("a report");
    let mut report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let digest = report["digest"].as_str().expect("a digest").to_owned();
    for volatile in ["resumed", "wallSeconds"] {
        report.as_object_mut().expect("an object").remove(volatile);
    }
    let mut files = BTreeMap::new();
    for part in ["outcomes", "states"] {
        for entry in fs::read_dir(folder.join(part)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".tmp") {
                files.insert(format!("{part}/{name}"), fs::read(entry.path()).expect("a file"));
            }
        }
    }
    (digest, files, report)
}

fn isolane(manifest: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
    command.arg("run").arg(manifest).arg("--out").arg(out).args(more).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The process itself is killed, again and again, at points that nobody chose.
#[test]
fn a_killed_process_resumes_to_the_same_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = folder.path().join("manifest.toml");
    // Long enough that kills hit its middle.
    let text =
        random_world(31, 150).replace("contracts/out", &format!("{}/contracts/out", super::world::root().display()));
    fs::write(&manifest, text).expect("a manifest");
    let whole = folder.path().join("whole");
    assert!(isolane(&manifest, &whole, &[]).status().expect("it runs").success());
    let expected = results(&whole);

    let out = folder.path().join("killed");
    let mut numbers = Numbers(99);
    let (mut kills, mut partial) = (0, 0);
    for attempt in 0..400 {
        let more: &[&str] = if attempt == 0 { &[] } else { &["--resume"] };
        let mut child = isolane(&manifest, &out, more).spawn().expect("it starts");
        // Ever longer, so that it ends at last.
        sleep(Duration::from_micros(numbers.below(4_000 + 1_500 * attempt)));
        if child.try_wait().expect("its state").is_none() {
            child.kill().expect("SIGKILL");
        }
        let status = child.wait().expect("it ends");
        let done = fs::read_dir(out.join("journal")).map_or(0, |entries| entries.count());
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "killed, not failed: {:?}", child.wait_with_output());
        kills += 1;
        partial += u64::from(done > 0 && !out.join("report.json").exists());
        if !out.join("journal").exists() {
            // Killed before there was a journal: there is nothing to resume, which is fine as well.
            continue;
        }
    }
    assert!(out.join("report.json").exists(), "it never came to its end in {kills} kills");
    let got = results(&out);
    assert_eq!(got.0, expected.0, "digest after {kills} kills");
    assert_eq!(got.2, expected.2, "the report after {kills} kills");
    for (name, bytes) in &expected.1 {
        assert!(got.1.get(name) == Some(bytes), "{name} after {kills} kills");
    }
    assert_eq!(got.1.len(), expected.1.len());
    assert!(kills >= 5 && partial >= 2, "{kills} kills, {partial} of them in the middle");
}

#[test]
fn another_runs_journal_is_refused() {
    let text = random_world(5, 4);
    let mut records = Memory::default();
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Box::new(Folder::open(folder.path()).expect("a folder"));
    let mut engine = plan(&text).engine().expect("an engine");
    engine.start_journal(open()).expect("empty");
    run(&mut engine, 3);
    let refused = |text: &str| {
        let error = plan(text).engine().expect("an engine").resume(open()).expect_err("another run").to_string();
        assert!(error.contains("epoch-00000000.journal") && error.contains("expected"), "{error}");
    };
    refused(&format!("{text}# another manifest\n"));
    let error = plan(&text).engine().expect("an engine").start_journal(open()).expect_err("it is not empty");
    assert!(error.to_string().contains("--resume"), "{error}");
    // A record that is of another epoch than its name says.
    let record = fs::read(folder.path().join(record_name(1))).expect("a record");
    fs::write(folder.path().join(record_name(0)), &record).expect("written");
    refused(&text);
    records.put("x", b"y").expect("kept");
    assert_eq!(records.get("x").expect("read"), Some(b"y".to_vec()));
}
