//! Traces of executions, each an [`Observer`](isolane_cpu::Observer): EIP-3155 lines, call frames, gas by opcode and
//! contract, access lists. Observers in a tuple watch one execution together. [docs/traces.md](../../docs/traces.md)
//! describes what they write.

mod access_list;
mod calls;
mod eip3155;
mod output;
mod profile;
mod state_diff;

pub use access_list::AccessList;
pub use calls::{CallFrame, CallFrames, FrameKind};
pub use eip3155::{Details, Eip3155, Label};
pub use output::{BlockTrace, SCHEMA, TraceKind, Tracing, TracingSettings};
pub use profile::{Counted, Profile};
pub use state_diff::StateDiff;

use serde::Serializer;
use std::fmt;

/// A number as JSON-RPC writes it.
fn quantity<T: fmt::LowerHex, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

/// Bytes as JSON-RPC writes them.
fn data<T: AsRef<[u8]>, S: Serializer>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
}

/// An address or a hash, which shows as JSON-RPC writes it.
fn hash<T: fmt::Debug, S: Serializer>(hash: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:?}"))
}

/// One that need not be there.
fn optional_hash<T: fmt::Debug, S: Serializer>(hash: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match hash {
        Some(value) => self::hash(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Bytes that need not be there.
fn optional_data<T: AsRef<[u8]>, S: Serializer>(bytes: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => data(bytes, serializer),
        None => serializer.serialize_none(),
    }
}
