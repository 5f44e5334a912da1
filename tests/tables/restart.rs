//! The same bytes whatever happens: threads, chunks, kills, full disks.

use super::{command, files, lines_of, replay, replay_bundled, root};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const ALL: [&str; 4] = ["--tables", "all", "--chunk-size", "4"];

#[test]
fn threads_and_repetition_change_no_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    replay_bundled(&at("a"), &[&ALL[..], &["--threads", "1"]].concat());
    let expected = files(&at("a"));
    assert!(expected.len() > 13, "several files a table");
    for (name, threads) in [("b", "2"), ("c", "7")] {
        replay_bundled(&at(name), &[&ALL[..], &["--threads", threads, "--parallel-transactions", "on"]].concat());
        assert!(files(&at(name)) == expected, "{threads} threads");
    }
    // Again into the same folder: nothing is left to do.
    replay_bundled(&at("a"), &ALL);
    assert!(files(&at("a")) == expected);
}

/// Files of chunks, one after another, are the file of all.
#[test]
fn chunks_end_to_end_are_the_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let blocks = root().join("testdata/blocks/anvil/prague");
    for (name, size) in [("one", "1000"), ("three", "3")] {
        let more = ["--tables", "all", "--format", "jsonl", "--chunk-size", size];
        assert!(replay(&[&blocks], &at(name), &more).status.success());
    }
    for table in ["logs", "traces", "storage_diffs", "blocks"] {
        let (one, three) = (lines_of(&at("one"), table), lines_of(&at("three"), table));
        assert!(!one.is_empty() && one == three, "{table}");
    }
}

/// More blocks behind those that are done: what results is what one run over all of them makes.
#[test]
fn blocks_can_be_added_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (some, all) = (folder.path().join("some"), folder.path().join("all"));
    let packs = super::packs();
    let paths: Vec<&Path> = packs.iter().map(AsRef::as_ref).collect();
    for count in [3, 9, 10, paths.len()] {
        let inputs = paths.get(..count).expect("so many packs");
        let output = replay(inputs, &some, &ALL);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(replay(&paths, &all, &ALL).status.success());
    assert!(files(&some) == files(&all));
}

/// Numbers that only the seed decides.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// `ISOLANE_KILLS` says how many.
#[test]
fn kills_at_random_points_change_no_byte() {
    let kills: u64 = std::env::var("ISOLANE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = root().join("testdata/blocks");
    let whole = folder.path().join("whole");
    let begun = std::time::Instant::now();
    replay_bundled(&whole, &ALL);
    let length = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(50);
    let expected = files(&whole);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut killed, mut partial, mut rounds) = (0, 0, 0);
    while killed < kills {
        rounds += 1;
        assert!(rounds <= 10 * kills + 10, "it always ends before it is killed");
        let out = folder.path().join(format!("killed-{rounds}"));
        loop {
            let mut child = command(&[&blocks], &out, &ALL)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts");
            if killed < kills {
                sleep(Duration::from_millis(numbers.below(length)));
                if child.try_wait().expect("its state").is_none() {
                    child.kill().expect("SIGKILL");
                }
            }
            let output = child.wait_with_output().expect("it ends");
            if output.status.success() {
                break;
            }
            assert_eq!(output.status.code(), None, "killed, not failed: {}", String::from_utf8_lossy(&output.stderr));
            killed += 1;
            let chunks = fs::read_dir(out.join("journal")).map_or(0, |list| {
                list.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("chunk-")).count()
            });
            partial += u64::from(chunks > 0);
        }
        let got = files(&out);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "after {killed} kills");
        for (name, bytes) in &expected {
            assert!(got.get(name) == Some(bytes), "{name} after {killed} kills");
        }
        fs::remove_dir_all(&out).expect("removed");
    }
    assert!(partial * 4 >= kills, "only {partial} of {killed} kills hit a run in its middle");
    println!("{killed} kills in {rounds} runs, {partial} of them after the first chunk");
}

/// The largest file that a process may write is small: writing fails in the middle of a run.
#[cfg(unix)]
#[test]
fn a_failure_of_writing_is_one_error_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    replay_bundled(&whole, &ALL);
    let blocks = root().join("testdata/blocks");
    let plain = command(&[&blocks], &out, &ALL);
    let mut limited = Command::new("sh");
    // 40 blocks of 512 bytes; the signal is ignored, so that the write fails instead.
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args());
    let output = limited.output().expect("a shell");
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{problem}");
    assert_eq!(problem.lines().count(), 1, "{problem}");
    assert!(problem.contains("cannot write it") && problem.contains("goes on"), "{problem}");
    let left: Vec<String> = files(&out).into_keys().filter(|name| name.contains(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    replay_bundled(&out, &ALL);
    assert!(files(&out) == files(&whole));
}

/// A disk that is full, where this machine lets us make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_error_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, disk, copy) = (folder.path().join("whole"), folder.path().join("disk"), folder.path().join("copy"));
    fs::create_dir(&disk).expect("a folder");
    let mount = "mount -t tmpfs -o size=700k tmpfs \"$DISK\"";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script]).env("DISK", &disk).env("COPY", &copy);
        command
    };
    if !unshare(mount).output().is_ok_and(|output| output.status.success()) {
        println!("no mount namespaces here: a full disk is only tried by the limit on the size of files");
        return;
    }
    replay_bundled(&whole, &ALL);
    let blocks = root().join("testdata/blocks");
    let plain = command(&[&blocks], &disk, &ALL);
    let script = format!(
        "{mount} || exit 90; \"$0\" \"$@\" >&2; test $? = 2 || exit 91; mount -o remount,size=64m \"$DISK\" || exit 92; \
         \"$0\" \"$@\" > /dev/null 2>&1 || exit 93; cp -r \"$DISK\" \"$COPY\""
    );
    let output = unshare(&script).arg(plain.get_program()).args(plain.get_args()).output().expect("a shell");
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{:?}: {problem}", output.status);
    assert_eq!(problem.lines().count(), 1, "{problem}");
    assert!(problem.contains("No space left on device"), "{problem}");
    assert!(files(&copy) == files(&whole));
}
