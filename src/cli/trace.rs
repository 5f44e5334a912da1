//! The flags of `isolane replay` and `isolane test` that trace what is executed.

use super::CliError;
use crate::gpu::{BackendArgs, BackendKind};
use crate::trace::{Details, TraceKind, Tracing, TracingSettings};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What EIP-3155 lines can hold besides what they must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Detail {
    /// The whole memory.
    Memory,
    /// What the last call returned.
    ReturnData,
}

/// The flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tracing")]
pub struct TraceArgs {
    /// Trace what is executed to this file; `-` for standard output, the report then goes to standard error. Runs one
    /// thread unless --threads says otherwise.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// What the trace tells.
    #[arg(long, value_name = "KIND", value_enum, default_value_t, requires = "trace")]
    trace_kind: TraceKind,
    /// What EIP-3155 lines hold besides what they must.
    #[arg(long, value_name = "FIELDS", value_enum, value_delimiter = ',', requires = "trace")]
    trace_with: Vec<Detail>,
    /// Trace only the transaction of this index in its block, from 0.
    #[arg(long, value_name = "N", requires = "trace")]
    transaction: Option<usize>,
}

impl TraceArgs {
    /// Whether the trace takes standard output.
    pub fn to_stdout(&self) -> bool {
        self.trace.as_deref() == Some(Path::new("-"))
    }

    /// The threads to use where the user did not say: see [`Self::trace`].
    pub fn threads(&self, given: Option<u16>) -> usize {
        given.map_or(usize::from(self.trace.is_some()), usize::from)
    }

    /// Opens the trace, if one is wanted. `json`: whether standard output is to be JSON Lines of the report.
    pub fn open(&self, json: bool, backend: BackendKind) -> Result<Option<Arc<Tracing>>, CliError> {
        let Some(path) = &self.trace else { return Ok(None) };
        if matches!(backend, BackendKind::Gpu | BackendKind::Lockstep) {
            let name = if backend == BackendKind::Gpu { "gpu" } else { "lockstep" };
            return Err(CliError::usage(format!(
                "--trace watches the reference, which --backend {name} does not use: use --backend cpu",
            )));
        }
        let out: Box<dyn Write + Send> = if self.to_stdout() {
            if json {
                let problem = "--trace - and --json both print to standard output: write the trace to a file";
                return Err(CliError::usage(problem));
            }
            Box::new(BufWriter::new(std::io::stdout()))
        } else {
            let file = File::create(path).map_err(|error| {
                CliError::usage(format!("{}: cannot write it: {error}: check --trace", path.display()))
            })?;
            Box::new(BufWriter::with_capacity(1 << 20, file))
        };
        let has = |detail| self.trace_with.contains(&detail);
        let details = Details { memory: has(Detail::Memory), return_data: has(Detail::ReturnData) };
        let settings = TracingSettings { kind: self.trace_kind, details, transaction: self.transaction };
        Ok(Some(Arc::new(Tracing::new(out, settings))))
    }

    /// The backend of a run: where a trace is wanted, the reference, which is what a trace watches.
    pub fn backend(&self, chosen: &BackendArgs) -> BackendArgs {
        let backend = if self.trace.is_some() { BackendKind::Cpu } else { chosen.backend };
        BackendArgs { backend, ..chosen.clone() }
    }

    /// Ends the trace; it is an error if nothing was traced.
    pub fn close(&self, tracing: Option<&Tracing>) -> Result<(), CliError> {
        let Some(tracing) = tracing else { return Ok(()) };
        match tracing.finish() {
            Ok(0) => {
                let expected = match self.transaction {
                    Some(index) => format!("a transaction of index {index}"),
                    None => "a transaction".to_owned(),
                };
                Err(CliError::usage(format!(
                    "--trace: expected {expected} to execute, there was none: check the paths"
                )))
            }
            Ok(_) => Ok(()),
            // A reader that has enough (`| head`) is no error.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(CliError::usage(format!("--trace: cannot write it: {error}: is the disk full?"))),
        }
    }
}
