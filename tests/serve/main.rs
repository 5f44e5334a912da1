//! `isolane serve`: a server in front of a small node, asked over HTTP.

mod calls;
mod client;
mod faults;
mod isolation;
mod node;
mod protocol;
mod simulations;
mod traces;
mod world;
