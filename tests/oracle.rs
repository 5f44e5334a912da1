//! Outcome for outcome, isolane's reference interpreter against revm.

mod support;

fn main() {}
