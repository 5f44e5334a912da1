//! Manifests.
pub mod source;
