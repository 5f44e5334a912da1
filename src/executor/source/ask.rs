//! Asking a source of any type, so that whatever it does stays with the calls concerned.

use super::StateSource;
use crate::convert::keccak;
use crate::executor::error::{ExecutorError, panic_text};
use crate::executor::keys::Key;
use isolane_spec::{AccountInfo, Bytes, H160, H256, KECCAK_EMPTY, U256, word};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Requests that are made in one round to find out which keys a source fails for.
const SEARCHES: usize = 64;

/// A failure, and whether fewer keys at a time may do better.
struct Failure {
    error: ExecutorError,
    divide: bool,
}

/// An answer to a key.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To an account.
    Account(Option<AccountInfo>),
    /// To a slot.
    Slot(U256),
    /// To a code.
    Code(Bytes),
    /// To a block's hash.
    BlockHash(H256),
    /// To whether an account has storage.
    Storage(bool),
}

/// A source whose type nobody needs to know.
pub trait AnySource: Send + Sync {
    /// The answers to some keys, in their order.
    fn answers(&self, keys: &[Key]) -> Vec<Result<Answer, ExecutorError>>;
}

impl<S: StateSource> AnySource for S {
    fn answers(&self, keys: &[Key]) -> Vec<Result<Answer, ExecutorError>> {
        let mut kinds: [Vec<usize>; 5] = Default::default();
        for (index, key) in keys.iter().enumerate() {
            let kind = match key {
                Key::Account(_) => 0,
                Key::Slot(..) => 1,
                Key::Code(_) => 2,
                Key::BlockHash(_) => 3,
                Key::Storage(_) => 4,
            };
            kinds[kind].push(index);
        }
        let mut answers: Vec<Option<Result<Answer, ExecutorError>>> = vec![None; keys.len()];
        let mut searches = SEARCHES;
        for indices in &kinds {
            let some: Vec<&Key> = indices.iter().filter_map(|&index| keys.get(index)).collect();
            let mut found = Vec::with_capacity(some.len());
            ask(self, &some, &mut searches, &mut found);
            for (&index, answer) in indices.iter().zip(found) {
                answers[index] = Some(answer);
            }
        }
        let lost = |key: &Key| Err(lied(key, "an answer", "none".to_owned()));
        answers.into_iter().zip(keys).map(|(answer, key)| answer.unwrap_or_else(|| lost(key))).collect()
    }
}

fn lied(key: &Key, expected: impl Into<String>, got: String) -> ExecutorError {
    ExecutorError::SourceLied { wanted: key.to_string(), expected: expected.into(), got }
}

/// Asks for keys of one kind; where that fails, for one half and the other, as long as that may help.
fn ask<S: StateSource>(
    source: &S,
    keys: &[&Key],
    searches: &mut usize,
    found: &mut Vec<Result<Answer, ExecutorError>>,
) {
    let Some(first) = keys.first() else { return };
    let failure = match request(source, first, keys) {
        Ok(answers) => {
            found.extend(answers.into_iter().zip(keys).map(|(answer, key)| check(key, answer)));
            return;
        }
        Err(failure) => failure,
    };
    if keys.len() == 1 || !failure.divide || *searches < 2 {
        found.extend(keys.iter().map(|_| Err(failure.error.clone())));
        return;
    }
    *searches -= 2;
    let (left, right) = keys.split_at(keys.len() / 2);
    ask(source, left, searches, found);
    ask(source, right, searches, found);
}

/// One request.
fn request<S: StateSource>(source: &S, first: &Key, keys: &[&Key]) -> Result<Vec<Answer>, Failure> {
    let wanted = || if keys.len() == 1 { first.to_string() } else { format!("{first} and {} more", keys.len() - 1) };
    let asked = catch_unwind(AssertUnwindSafe(|| match first {
        Key::Account(_) => {
            let addresses: Vec<H160> = keys.iter().filter_map(|key| key.address()).collect();
            source.accounts(&addresses).map(|list| list.into_iter().map(Answer::Account).collect::<Vec<_>>())
        }
        Key::Slot(..) => {
            let slot = |key: &&Key| match **key {
                Key::Slot(address, slot) => Some((address, H256(word::to_be(&slot)))),
                _ => None,
            };
            let slots: Vec<(H160, H256)> = keys.iter().filter_map(slot).collect();
            source.slots(&slots).map(|list| list.into_iter().map(Answer::Slot).collect())
        }
        Key::Code(_) => {
            let hash = |key: &&Key| if let Key::Code(hash) = **key { Some(hash) } else { None };
            let hashes: Vec<H256> = keys.iter().filter_map(hash).collect();
            source.codes(&hashes).map(|list| list.into_iter().map(Answer::Code).collect())
        }
        Key::BlockHash(_) => {
            let number = |key: &&Key| if let Key::BlockHash(number) = **key { Some(number) } else { None };
            let numbers: Vec<u64> = keys.iter().filter_map(number).collect();
            source.block_hashes(&numbers).map(|list| list.into_iter().map(Answer::BlockHash).collect())
        }
        Key::Storage(_) => {
            let addresses: Vec<H160> = keys.iter().filter_map(|key| key.address()).collect();
            source.has_storage(&addresses).map(|list| list.into_iter().map(Answer::Storage).collect())
        }
    }));
    match asked {
        Ok(Ok(answers)) if answers.len() == keys.len() => Ok(answers),
        Ok(Ok(answers)) => Err(Failure {
            error: ExecutorError::SourceLied {
                wanted: wanted(),
                expected: format!("{} answers", keys.len()),
                got: answers.len().to_string(),
            },
            divide: true,
        }),
        Ok(Err(error)) => {
            let divide = source.concerns_keys(&error);
            Err(Failure { error: ExecutorError::Source { wanted: wanted(), source: Arc::new(error) }, divide })
        }
        Err(panic) => Err(Failure {
            error: ExecutorError::SourcePanicked { wanted: wanted(), panic: panic_text(&*panic) },
            divide: true,
        }),
    }
}

/// What can be checked of an answer.
fn check(key: &Key, answer: Answer) -> Result<Answer, ExecutorError> {
    if let (Key::Code(hash), Answer::Code(code)) = (key, &answer) {
        let got = if code.is_empty() { KECCAK_EMPTY } else { keccak(code) };
        if got != *hash {
            return Err(lied(key, format!("a code of hash {hash:?}"), format!("one of hash {got:?}")));
        }
    }
    Ok(answer)
}
