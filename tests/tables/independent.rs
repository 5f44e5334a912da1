//! A reader that shares nothing with the writer: pyarrow.

use super::{packs, replay_bundled, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn imports(python: &Path) -> bool {
    let output = Command::new(python).args(["-c", "import pyarrow.parquet"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// A Python that has pyarrow: the system's, or one of our own under `target/`.
fn python() -> Result<PathBuf, String> {
    let system = PathBuf::from("python3");
    if imports(&system) {
        return Ok(system);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let own = folder.join("bin/python");
    if imports(&own) {
        return Ok(own);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    run(Command::new(&system).args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(&own).args(["-m", "pip", "install", "--quiet", "pyarrow"]))?;
    if imports(&own) { Ok(own) } else { Err("pyarrow was installed and cannot be imported".to_owned()) }
}

#[test]
fn pyarrow_reads_what_the_packs_recorded() {
    let python = match python() {
        Ok(python) => python,
        Err(problem) if std::env::var_os("ISOLANE_OFFLINE").is_some() => {
            println!("ISOLANE_OFFLINE is set: no independent reader has read the tables ({problem})");
            return;
        }
        Err(problem) => panic!("install pyarrow (pip install pyarrow), or set ISOLANE_OFFLINE: {problem}"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let tables = folder.path().join("tables");
    replay_bundled(&tables, &["--tables", "all"]);
    let plain = folder.path().join("packs");
    fs::create_dir(&plain).expect("a folder");
    for (index, path) in packs().iter().enumerate() {
        fs::write(plain.join(format!("{index:04}.json")), isolane::load::typed::read(path).expect("a pack"))
            .expect("written");
    }
    let output = Command::new(&python).arg(root().join("tests/tables/compare.py")).arg(&plain).arg(&tables).output();
    let output = output.expect("Python runs");
    let (text, problem) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{problem}");
    println!("{text}");
    assert!(text.contains("receipts and") && text.contains("are equal"), "{text}");
}
