//! The command-line tool.

#[cfg(feature = "mimalloc")]
mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "mimalloc")]
    allocator::keep_memory();
    isolane::cli::main()
}
