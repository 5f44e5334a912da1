//! The WGSL function libraries against reference implementations, on every device of this machine.

mod crypto;
mod harness;
mod word;
