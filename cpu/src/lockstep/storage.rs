//! Storage that paths know: what all their lanes have read or written at the same slots.

use super::path::{Columns, Value};
use isolane_spec::U256;

/// Storage slots that a path remembers.
const SLOTS: usize = 64;

/// Storage slots of the frame's account that all lanes of a path have accessed, and what they hold.
#[derive(Debug, Default)]
pub(super) struct StorageWords {
    /// By the lowest bits of the key; empty until there is one.
    slots: Vec<Option<(U256, Value)>>,
}

impl StorageWords {
    /// What a slot holds, if that is known: the access is warm then, and costs no more than its static gas.
    pub fn get(&self, key: &Value) -> Option<Value> {
        let key = key.word()?;
        let (known, value) = self.slots.get(key.0[0] as usize % SLOTS)?.as_ref()?;
        (known == key).then_some(*value)
    }

    /// All lanes have read or written a slot. Where they do not share its key it is any slot, which may be `written`.
    pub fn set(&mut self, columns: &mut Columns, key: &Value, value: &Value, written: bool) {
        let Some(key) = key.word() else {
            if written {
                self.release(columns);
            }
            return;
        };
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        columns.share(value);
        if let Some(place) = self.slots.get_mut(key.0[0] as usize % SLOTS)
            && let Some((_, old)) = place.replace((*key, *value))
        {
            columns.release(&old);
        }
    }

    /// Forgets all.
    pub fn release(&mut self, columns: &mut Columns) {
        self.slots.drain(..).flatten().for_each(|(_, value)| columns.release(&value));
    }
}
