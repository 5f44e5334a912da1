//! Tables of what blocks did: typed rows, and files of them in Parquet, JSON Lines and CSV.
//!
//! The worker that executes a block turns it into rows ([`rows`]), one thread writes them in the order of the blocks
//! ([`Run`]). Blocks come in chunks; each chunk is a file a table, written under a temporary name, renamed when it is
//! whole, and entered into a journal, so that a run that was stopped goes on where it was. The same blocks and options
//! give the same bytes. [docs/tables.md](../../docs/tables.md) has the columns.

mod collect;
mod column;
mod diffs;
mod document;
pub mod journal;
mod rows;
mod run;
mod schema;
mod write;

pub use collect::{Collected, Collector};
pub use column::{Batch, Cell, Cells, Column, Kind, Row, Strings, U256Type, Values};
pub use document::document;
pub use rows::{Executed, rows};
pub use run::{BlockRows, Gate, Identity, Limits, Run, Settings, Skipped, Wrote};
pub use schema::*;
pub use write::{Format, network};

/// Version of the tables and of the journal beside them.
pub const SCHEMA: &str = "isolane-tables/1";

/// Some of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection(u32);

impl Selection {
    /// Those that are named.
    pub fn of(tables: impl IntoIterator<Item = Table>) -> Self {
        Self(tables.into_iter().fold(0, |bits, table| bits | 1 << table as u32))
    }

    /// Whether a table is among them.
    #[must_use]
    pub const fn has(self, table: Table) -> bool {
        self.0 & (1 << table as u32) != 0
    }

    /// Whether any of these is among them.
    #[must_use]
    pub fn has_any(self, tables: &[Table]) -> bool {
        tables.iter().any(|table| self.has(*table))
    }

    /// They, in the order of [`Table::ALL`].
    pub fn tables(self) -> impl Iterator<Item = Table> {
        Table::ALL.iter().copied().filter(move |table| self.has(*table))
    }

    /// Whether the calls of each transaction have to be watched.
    #[must_use]
    pub fn needs_calls(self) -> bool {
        self.has_any(&[Table::Traces, Table::NativeTransfers, Table::Contracts])
    }

    /// Whether the gas of each instruction has to be watched.
    #[must_use]
    pub fn needs_profile(self) -> bool {
        self.has_any(&[Table::GasByOpcode, Table::GasByContract])
    }
}
