//! Contract code that many blocks share: hashed once, kept once.

use isolane_spec::{Bytes, H256};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Codes by a quick hash of their bytes. Consecutive blocks call the same contracts, and Keccak-256 over all their code
/// would cost more than reading it.
pub struct CodeCache {
    hasher: RandomState,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_quick_hash: HashMap<u64, (Bytes, H256)>,
    bytes: usize,
}

/// The cache starts anew when it holds this much.
const CAPACITY: usize = 64 << 20;

impl Default for CodeCache {
    fn default() -> Self {
        Self { hasher: RandomState::new(), entries: Mutex::default() }
    }
}

impl CodeCache {
    /// The code, shared with earlier equal ones, and its Keccak-256.
    #[must_use]
    pub fn intern(&self, code: Bytes) -> (Bytes, H256) {
        let quick = self.quick_hash(&code);
        {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, hash)) = entries.by_quick_hash.get(&quick)
                && *known == code
            {
                return (known.clone(), *hash);
            }
        }
        let hash = H256(alloy_primitives::keccak256(&code).0);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.bytes + code.len() > CAPACITY {
            *entries = Entries::default();
        }
        entries.bytes += code.len();
        entries.by_quick_hash.insert(quick, (code.clone(), hash));
        (code, hash)
    }

    /// Samples the code: equality is checked on all of it anyway.
    fn quick_hash(&self, code: &[u8]) -> u64 {
        let part = |at: usize| code.get(at..(at + 64).min(code.len())).unwrap_or_default();
        let middle = code.len() / 2;
        self.hasher.hash_one((code.len(), part(0), part(middle), part(code.len().saturating_sub(64))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_codes_share_and_different_ones_do_not() {
        let cache = CodeCache::default();
        let mut code = vec![0x5b; 1000];
        let (first, hash) = cache.intern(code.clone().into());
        let (again, same) = cache.intern(code.clone().into());
        assert_eq!((first.as_ptr(), hash), (again.as_ptr(), same));
        // A difference between the samples: same quick hash, other code.
        code[200] = 0;
        let (_, other) = cache.intern(code.clone().into());
        assert_ne!(hash, other);
        assert_eq!(other.0, alloy_primitives::keccak256(&code).0);
    }
}
