//! revm, as `isolane bench` runs it.

#[allow(unused_imports, reason = "each benchmark uses its part")]
pub use isolane::bench::peer::{Peer, PeerState, transactions};
