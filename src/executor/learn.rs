//! What calls needed, for the next ones like them.

use super::call::Call;
use super::keys::Key;
use hashbrown::{HashMap, HashSet};
use isolane_spec::H160;
use std::sync::{Mutex, PoisonError};

/// Calls of one wave that are learnt from.
pub(super) const SAMPLES: usize = 256;
/// Kinds of calls that are remembered.
const KINDS: usize = 4_096;
/// Keys that are remembered of one kind.
const KEYS: usize = 256;
/// Calls after which older ones count half.
const HALVE: u32 = 1_024;

/// Calls of one kind.
#[derive(Default)]
struct Kind {
    calls: u32,
    /// How many of them needed it.
    keys: HashMap<Key, u32>,
}

/// What calls of the same function of the same contract needed of the state: it is read ahead for the next ones. That changes no
/// result, only in how many requests the state comes.
#[derive(Default)]
pub(super) struct Shapes(Mutex<HashMap<(H160, u32), Kind>>);

impl Shapes {
    /// Learns from calls that lacked state: whom they called, the selector, and what they lacked.
    pub fn learn(&self, lacked: impl Iterator<Item = ((H160, u32), Vec<Key>)>) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, keys) in lacked {
            if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
                kinds.clear();
            }
            let kind = kinds.entry(kind).or_default();
            if kind.calls >= HALVE {
                kind.calls /= 2;
                kind.keys.retain(|_, count| {
                    *count /= 2;
                    *count > 0
                });
            }
            kind.calls += 1;
            // Codes come with their accounts, which may have others by then; ancestors change with every block.
            let lasts = |key: &Key| !matches!(key, Key::BlockHash(_) | Key::Code(_));
            let keys: HashSet<Key> = keys.into_iter().filter(lasts).collect();
            for key in keys {
                if kind.keys.len() < KEYS || kind.keys.contains_key(&key) {
                    *kind.keys.entry(key).or_default() += 1;
                }
            }
        }
    }

    /// Adds what at least a quarter of the calls like this one needed.
    pub fn recall(&self, call: &Call, wanted: &mut HashSet<Key>) {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = call.to.and_then(|to| kinds.get(&(to, call.selector()))) else { return };
        wanted.extend(kind.keys.iter().filter(|(_, count)| **count * 4 >= kind.calls).map(|(key, _)| *key));
    }
}
