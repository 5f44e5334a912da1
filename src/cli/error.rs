//! Exit codes and errors of the tool.

use std::fmt;
use std::process::ExitCode;

/// How the tool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything matches.
    Match = 0,
    /// Something does not match.
    Mismatch = 1,
    /// Wrong usage or configuration, or unreadable input.
    Usage = 2,
    /// A node or another source failed.
    Source = 3,
    /// A device failed.
    Device = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the tool gives up: one line.
#[derive(Debug)]
pub struct CliError {
    /// The exit code that it leads to.
    pub exit: Exit,
    /// What is wrong and what to do.
    pub message: String,
}

impl CliError {
    /// Wrong usage or configuration, or unreadable input.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// A source or a node that failed.
    #[must_use]
    pub fn source(message: impl Into<String>) -> Self {
        Self { exit: Exit::Source, message: message.into() }
    }

    /// A device that cannot be used.
    #[must_use]
    pub fn device(message: impl Into<String>) -> Self {
        Self { exit: Exit::Device, message: message.into() }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

impl From<crate::load::typed::InputError> for CliError {
    fn from(error: crate::load::typed::InputError) -> Self {
        Self::usage(error.to_string())
    }
}
