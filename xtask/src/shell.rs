//! Running other programs.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the checkout.
pub fn root() -> PathBuf {
    // cargo names the folder when it runs the task; the other is for a task that is started by hand.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A program to be run in the root of the checkout.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this task.
pub fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program; whether it succeeded.
pub fn run(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    Ok(status.success())
}

/// Runs a program that must succeed.
pub fn must(command: &mut Command) -> Result<()> {
    ensure!(run(command)?, "failed: {}", text(command));
    Ok(())
}

/// Runs a program and shows its standard output while `see` reads along, line by line; its exit code, or `None` if a
/// signal ended it.
pub fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<Option<i32>> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", text(command)))?;
    let stdout = child.stdout.take().context("no pipe to the program's output")?;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut out = std::io::stdout().lock();
    while reader.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        see(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait()?.code())
}

/// Whether a program of that name can be found.
pub fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()))
}

/// The command line, for messages.
pub fn text(command: &Command) -> String {
    let mut text = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
