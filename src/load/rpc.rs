//! load/rpc.
