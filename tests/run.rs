//! Whole runs of environments: examples, manifests, determinism, kills, conservation.

#[path = "run/conservation.rs"]
mod conservation;
#[path = "run/determinism.rs"]
mod determinism;
#[path = "run/examples.rs"]
mod examples;
#[path = "run/isolation.rs"]
mod isolation;
#[path = "run/kills.rs"]
mod kills;
#[path = "run/mistakes.rs"]
mod mistakes;
#[path = "run/world.rs"]
mod world;
