//! `isolane serve`: JSON-RPC over HTTP in front of a node. Calls are gathered into batches and executed here; what isolane
//! does not answer itself is passed through. [docs/serve.md](../../docs/serve.md) says what is answered how.

mod background;
mod batches;
mod block_trace;
mod blocks;
mod calls;
mod estimate;
mod http;
pub mod jsonrpc;
mod methods;
mod metrics;
mod params;
mod pool;
mod queues;
mod reply;
mod sequence;
mod server;
mod service;
mod simulate;
mod tenants;
mod trace;
mod transaction_json;
mod transfers;
mod upstream;

pub use blocks::Schedule;
pub use http::Limits;
pub use server::{Config, Ended, ServeError, Server};
pub use service::Service;
pub use tenants::{Tenant, Tenants};
