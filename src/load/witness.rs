//! load/witness.
