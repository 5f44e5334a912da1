//! Where the answers to the requests of one body come together.

use super::jsonrpc::{Answer, Failure};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// The answers to the requests of one body.
#[derive(Debug)]
pub struct Group {
    answers: Vec<OnceLock<Answer>>,
    left: AtomicUsize,
    all: Notify,
    abandoned: AtomicBool,
}

/// The place of one answer. Dropped without one, it says that there is a defect, so that nobody waits for ever.
#[derive(Debug)]
pub struct Slot {
    group: Arc<Group>,
    index: usize,
}

/// Waits for a group. Dropped before the end, nobody waits any more, and what has not begun need not begin.
#[derive(Debug)]
pub struct Waiting(Arc<Group>);

impl Group {
    /// Places for so many answers.
    #[must_use]
    pub fn of(count: usize) -> (Waiting, Vec<Slot>) {
        let group = Arc::new(Self {
            answers: (0..count).map(|_| OnceLock::new()).collect(),
            left: AtomicUsize::new(count),
            all: Notify::new(),
            abandoned: AtomicBool::new(false),
        });
        let slots = (0..count).map(|index| Slot { group: Arc::clone(&group), index }).collect();
        (Waiting(group), slots)
    }

    fn put(&self, index: usize, answer: Answer) {
        let Some(place) = self.answers.get(index) else { return };
        if place.set(answer).is_ok() && self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all.notify_one();
        }
    }
}

impl Slot {
    /// Gives the answer.
    pub fn answer(self, answer: Answer) {
        self.group.put(self.index, answer);
    }

    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.group.abandoned.load(Ordering::Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Of no effect where there is an answer.
        if self.group.answers.get(self.index).is_some_and(|place| place.get().is_none()) {
            self.group.put(self.index, Err(Failure::internal("a request was lost")));
        }
    }
}

impl Waiting {
    /// The answers, when all are there.
    pub async fn answers(self) -> Arc<Group> {
        while self.0.left.load(Ordering::Acquire) > 0 {
            self.0.all.notified().await;
        }
        Arc::clone(&self.0)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Group {
    /// The answers in the order of the requests.
    pub fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter_map(OnceLock::get)
    }

    /// The answers themselves, without copying them if nobody else has the group any more.
    #[must_use]
    pub fn take(self: Arc<Self>) -> Vec<Answer> {
        match Arc::try_unwrap(self) {
            Ok(group) => group.answers.into_iter().filter_map(OnceLock::into_inner).collect(),
            Err(shared) => shared.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_none_is_missing() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
        let (waiting, slots) = Group::of(3);
        runtime.spawn(async move {
            for slot in slots.into_iter().rev() {
                match slot.index {
                    1 => drop(slot),
                    index => slot.answer(Ok(index.to_string())),
                }
            }
        });
        let group = runtime.block_on(waiting.answers());
        let answers: Vec<_> = group.iter().map(|answer| answer.clone().map_err(|failure| failure.code)).collect();
        assert_eq!(answers, [Ok("0".to_owned()), Err(super::super::jsonrpc::INTERNAL_ERROR), Ok("2".to_owned())]);
    }

    #[test]
    fn whoever_leaves_is_noticed() {
        let (waiting, slots) = Group::of(1);
        assert!(!slots[0].is_abandoned());
        drop(waiting);
        assert!(slots[0].is_abandoned());
    }
}
