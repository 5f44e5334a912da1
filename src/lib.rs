//! isolane.
