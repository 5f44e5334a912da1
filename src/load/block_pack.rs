//! load/block_pack.
