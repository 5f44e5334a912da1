//! Completions and the manual page, from the same definition as the parser.

use super::{CliError, Exit};
use clap_complete::Shell;
use std::io::Write as _;

/// `isolane completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell to complete for.
    shell: Shell,
}

/// Prints a completion script.
pub fn completions(arguments: &Completions) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "isolane", &mut script);
    print(&script)
}

/// Prints the manual page.
pub fn man() -> Result<Exit, CliError> {
    let mut page = Vec::new();
    let definition = super::command();
    let result = clap_mangen::Man::new(definition.clone()).render(&mut page).and_then(|()| {
        for subcommand in definition.get_subcommands() {
            let name: &'static str = format!("isolane-{}", subcommand.get_name()).leak();
            clap_mangen::Man::new(subcommand.clone().name(name)).render(&mut page)?;
        }
        Ok(())
    });
    result.map_err(|error| CliError::usage(format!("cannot render the manual page: {error}")))?;
    print(&page)
}

fn print(text: &[u8]) -> Result<Exit, CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        // A reader that has enough (`| head`) is no error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Match),
        Err(error) => Err(CliError::usage(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(Exit::Match),
    }
}
