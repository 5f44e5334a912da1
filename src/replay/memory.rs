//! A limit on the memory that the packs at work take together.

use crate::report::resident_memory;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets packs in as long as there is room; one is always let in, or else nothing would ever end.
#[derive(Debug, Default)]
pub(super) struct MemoryGate {
    /// Nobody but one enters while more than this is taken, in bytes.
    threshold: Option<u64>,
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    now: usize,
    most: usize,
}

/// A pack at work.
pub(super) struct Entered<'g>(&'g MemoryGate);

impl MemoryGate {
    /// A gate for a limit; what those inside still grow by has a quarter of it.
    pub fn new(limit: Option<u64>) -> Self {
        Self { threshold: limit.map(|limit| limit / 4 * 3), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, inside: Inside) -> bool {
        let full = |threshold| resident_memory().is_some_and(|bytes| bytes > threshold);
        inside.now == 0 || !self.threshold.is_some_and(full)
    }

    /// Waits until there is room. `waits` is called before it begins to wait, if it has to.
    pub fn enter(&self, waits: impl FnOnce()) -> Entered<'_> {
        let mut inside = self.lock();
        if !self.is_open(*inside) {
            drop(inside);
            waits();
            inside = self.lock();
        }
        while !self.is_open(*inside) {
            inside = self.left.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.now += 1;
        inside.most = inside.most.max(inside.now);
        Entered(self)
    }

    /// The most packs that were inside at once.
    pub fn most(&self) -> usize {
        self.lock().most
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.lock().now -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most_of(gate: &MemoryGate) -> usize {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _inside = gate.enter(|| ());
                    std::thread::sleep(std::time::Duration::from_millis(20));
                });
            }
        });
        gate.most()
    }

    #[test]
    fn one_at_a_time_where_there_is_no_room() {
        assert_eq!(most_of(&MemoryGate::new(Some(1))), 1);
        assert!(most_of(&MemoryGate::new(None)) > 1);
        assert!(most_of(&MemoryGate::new(Some(u64::MAX))) > 1);
    }
}
