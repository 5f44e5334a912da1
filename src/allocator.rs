//! The allocator of the tool: requests are parsed, executed and answered on different threads, where glibc's is slow.

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};
use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of version 2, for which the crate has no name: how many milliseconds memory stays here after it was freed.
const PURGE_DELAY: mi_option_t = 15;
/// Its default, too short for blocks one after the other: each would have the kernel clear its memory again, huge pages at that.
const DEFAULT: c_long = 10;
const DELAY: c_long = 1_000;

/// Keeps freed memory for a second, unless the environment (`MIMALLOC_PURGE_DELAY`) says otherwise. Returns whether it does. To be
/// called before there are other threads.
#[expect(unsafe_code, reason = "the options of the allocator are set by calls of C")]
pub fn keep_memory() -> bool {
    // SAFETY: both take numbers, and no other thread looks at options meanwhile; for a number that is no option they do nothing.
    unsafe {
        let is_default = mi_option_get(PURGE_DELAY) == DEFAULT;
        if is_default {
            mi_option_set(PURGE_DELAY, DELAY);
        }
        is_default
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_that_of_the_delay() {
        // Another option in its place would have another default.
        assert!(std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() || super::keep_memory());
        assert!(!super::keep_memory());
    }
}
