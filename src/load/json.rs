//! load/json.
