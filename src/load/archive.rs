//! load/archive.
