//! Shrinks a case while a difference stays.

use super::case::Case;
use super::code::instructions;
use crate::convert::keccak;
use isolane_cpu::{Available, Machine};
use isolane_spec::opcode::{Opcode, op};
use isolane_spec::{Bytes, Fork, H160, KECCAK_EMPTY, MemoryState, TransactionType, U256};
use std::sync::Arc;

/// Executions that shrinking may take.
const MAX_TRIES: usize = 20_000;

/// The smallest case found for which `differs` still holds.
#[must_use]
pub fn minimise(case: &Case, differs: impl FnMut(&Case) -> bool) -> Case {
    let mut shrinker = Shrinker { case: case.clone(), differs, tries: 0 };
    shrinker.transactions();
    loop {
        let before = size(&shrinker.case);
        shrinker.accounts();
        shrinker.codes();
        shrinker.transaction_fields();
        shrinker.storage();
        shrinker.block();
        if size(&shrinker.case) == before || shrinker.tries >= MAX_TRIES {
            return shrinker.case;
        }
    }
}

/// How much there is to look at.
fn size(case: &Case) -> (usize, usize, usize) {
    let code: usize =
        case.state.accounts.values().filter_map(|a| case.state.codes.get(&a.info.code_hash)).map(Bytes::len).sum();
    let storage: usize = case.state.accounts.values().map(|account| account.storage.len()).sum();
    let input: usize = case.transactions.iter().map(|transaction| transaction.input.len()).sum();
    (code + input, case.state.accounts.len() + storage, case.transactions.len())
}

struct Shrinker<F> {
    case: Case,
    differs: F,
    tries: usize,
}

impl<F: FnMut(&Case) -> bool> Shrinker<F> {
    /// Keeps a changed case if it is another one and the difference is still there.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if self.tries >= MAX_TRIES {
            return false;
        }
        let mut changed = self.case.clone();
        change(&mut changed);
        self.tries += 1;
        let holds = (self.differs)(&changed);
        if holds {
            self.case = changed;
        }
        holds
    }

    /// As few transactions as possible: what earlier ones did becomes part of the state.
    fn transactions(&mut self) {
        while self.case.transactions.len() > 1 {
            let last = self.case.transactions.len() - 1;
            let dropped = self.attempt(|case| case.transactions.truncate(last))
                || self.attempt(fold_first)
                || (0..last).rev().any(|index| {
                    self.attempt(|case| {
                        case.transactions.remove(index);
                    })
                });
            if !dropped {
                return;
            }
        }
    }

    fn accounts(&mut self) {
        for address in self.case.addresses() {
            self.attempt(|case| {
                Arc::make_mut(&mut case.state).accounts.remove(&address);
            });
        }
        for address in self.case.addresses() {
            self.account(address, |account| account.info.balance, |account| account.info.balance = U256::zero());
            self.account(address, |account| account.info.nonce, |account| account.info.nonce = 0);
        }
        self.attempt(forget_codes);
    }

    /// Sets a field of an account to its plain value, if it has another one.
    fn account<T: PartialEq>(
        &mut self,
        address: H160,
        field: impl Fn(&isolane_spec::MemoryAccount) -> T,
        plain: impl FnOnce(&mut isolane_spec::MemoryAccount),
    ) {
        let Some(account) = self.case.state.accounts.get(&address) else { return };
        let mut changed = account.clone();
        plain(&mut changed);
        if field(&changed) != field(account) {
            self.attempt(|case| {
                Arc::make_mut(&mut case.state).accounts.insert(address, changed);
            });
        }
    }

    fn storage(&mut self) {
        for address in self.case.addresses() {
            self.account(address, |account| account.storage.len(), |account| account.storage.clear());
            let keys = |case: &Case| -> Vec<U256> {
                let account = case.state.accounts.get(&address);
                let mut keys: Vec<U256> = account.iter().flat_map(|account| account.storage.keys().copied()).collect();
                keys.sort_unstable();
                keys
            };
            for key in keys(&self.case) {
                self.account(
                    address,
                    |account| account.storage.len(),
                    |account| {
                        account.storage.remove(&key);
                    },
                );
            }
            for key in keys(&self.case) {
                self.account(
                    address,
                    |account| account.storage.get(&key).copied(),
                    |account| {
                        account.storage.insert(key, U256::one());
                    },
                );
            }
        }
    }

    fn codes(&mut self) {
        for address in self.case.addresses() {
            if self.code(address).is_some_and(|code| !code.is_empty()) {
                if self.with_code(address, Bytes::new()) {
                    continue;
                }
                self.shrink(|case| code_of(case, address), move |case, code| set_code(case, address, code));
            }
        }
        for index in 0..self.case.transactions.len() {
            if self.case.transactions[index].to.is_none() {
                self.shrink(
                    move |case| case.transactions.get(index).map(|transaction| transaction.input.clone()),
                    move |case, code| {
                        if let Some(transaction) = case.transactions.get_mut(index) {
                            transaction.input = code;
                        }
                    },
                );
            }
        }
    }

    fn code(&self, address: H160) -> Option<Bytes> {
        code_of(&self.case, address)
    }

    fn with_code(&mut self, address: H160, code: Bytes) -> bool {
        self.attempt(|case| set_code(case, address, code))
    }

    /// Deletes instructions, in ever smaller runs, and makes the rest plain.
    fn shrink(&mut self, get: impl Fn(&Case) -> Option<Bytes>, set: impl Fn(&mut Case, Bytes)) {
        let Some(code) = get(&self.case) else { return };
        let mut run = instructions(&code).len().div_ceil(2).max(1);
        loop {
            let mut first = 0;
            loop {
                let Some(code) = get(&self.case) else { return };
                let count = instructions(&code).len();
                if first >= count {
                    break;
                }
                if !self.attempt(|case| set(case, replaced(&code, first, run, &[]))) {
                    first += run;
                }
            }
            if run == 1 {
                break;
            }
            run = run.div_ceil(2).min(run - 1);
        }
        // Without its effect first: an instruction that only moves the stack goes away with another one later.
        let fork = self.case.rules.fork;
        let mut index = 0;
        loop {
            let Some(code) = get(&self.case) else { return };
            let Some(instruction) = instructions(&code).get(index).copied() else { break };
            if let Some(neutral) = neutral(instruction.byte, fork) {
                self.attempt(|case| set(case, replaced(&code, index, 1, &neutral)));
            }
            index += 1;
        }
        let Some(code) = get(&self.case) else { return };
        for index in 0..instructions(&code).len() {
            let Some(code) = get(&self.case) else { return };
            if self.attempt(|case| set(case, stopped(&code, index, 1))) {
                continue;
            }
            for plainer in plainer(&code, index) {
                if self.attempt(|case| set(case, plainer)) {
                    break;
                }
            }
        }
    }

    fn transaction_fields(&mut self) {
        for index in 0..self.case.transactions.len() {
            let original = self.case.transactions[index].clone();
            let mut field = |plain: &dyn Fn(&mut isolane_spec::Transaction)| {
                let mut changed = self.case.transactions[index].clone();
                plain(&mut changed);
                if changed != self.case.transactions[index] {
                    self.attempt(|case| case.transactions[index] = changed);
                }
            };
            field(&|t| t.access_list.clear());
            field(&|t| {
                t.transaction_type = TransactionType::Legacy;
                t.max_priority_fee_per_gas = t.max_fee_per_gas;
                t.chain_id = None;
                t.access_list.clear();
                t.blob_versioned_hashes.clear();
                t.authorization_list.clear();
                t.max_fee_per_blob_gas = U256::zero();
            });
            for item in (0..original.access_list.len()).rev() {
                field(&|t| {
                    if item < t.access_list.len() {
                        t.access_list.remove(item);
                    }
                });
            }
            for item in (0..original.authorization_list.len()).rev() {
                field(&|t| {
                    if item < t.authorization_list.len() {
                        t.authorization_list.remove(item);
                    }
                });
            }
            field(&|t| t.blob_versioned_hashes.truncate(1));
            field(&|t| t.value = U256::zero());
            field(&|t| t.value = t.value.min(U256::one()));
            if original.to.is_some() {
                field(&|t| t.input = Bytes::new());
                field(&|t| t.input = t.input.slice(..t.input.len() / 2));
                field(&|t| t.input = t.input.slice(..t.input.len() - t.input.len() % 32));
                field(&|t| t.input = vec![0; t.input.len()].into());
            }
            for gas in [50_000, 100_000, 1_000_000] {
                if original.gas_limit != gas {
                    field(&|t| t.gas_limit = gas);
                }
            }
        }
    }

    fn block(&mut self) {
        self.attempt(|case| {
            case.block.number = 1;
            case.block.timestamp = 1;
        });
        self.attempt(|case| case.block.prev_randao = Default::default());
        self.attempt(|case| {
            case.excess_blob_gas = 0;
            case.set_fork(case.rules.fork);
        });
    }
}

/// Runs the first transaction on the reference and lets the case start from what it left.
fn fold_first(case: &mut Case) {
    let environment = case.environment();
    let available = Available::of(&environment);
    let first = case.transactions.remove(0);
    if let Ok(outcome) = Machine::new(environment).transact(&first, available) {
        Arc::make_mut(&mut case.state).apply(&outcome.diff);
    }
}

/// Forgets the codes that no account has.
fn forget_codes(case: &mut Case) {
    let state = Arc::make_mut(&mut case.state);
    let MemoryState { accounts, codes, .. } = state;
    codes.retain(|hash, _| accounts.values().any(|account| account.info.code_hash == *hash));
}

fn code_of(case: &Case, address: H160) -> Option<Bytes> {
    let account = case.state.accounts.get(&address)?;
    case.state.codes.get(&account.info.code_hash).cloned()
}

fn set_code(case: &mut Case, address: H160, code: Bytes) {
    let state = Arc::make_mut(&mut case.state);
    let Some(account) = state.accounts.get_mut(&address) else { return };
    account.info.code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(&code) };
    if !code.is_empty() {
        state.codes.insert(account.info.code_hash, code);
    }
}

/// The code with `count` instructions from `first` on replaced. PUSHes of places in the code follow them.
fn replaced(code: &Bytes, first: usize, count: usize, by: &[u8]) -> Bytes {
    let list = instructions(code);
    let end_of = |index: usize| list.get(index).map_or(code.len(), |instruction| instruction.at);
    let (start, end) = (end_of(first), end_of(first.saturating_add(count)));
    let moved = |offset: usize| match offset {
        _ if offset <= start => offset,
        _ if offset < end => start,
        _ => offset - end + start + by.len(),
    };
    let mut new = Vec::with_capacity(code.len());
    for instruction in &list {
        if instruction.at == start {
            new.extend_from_slice(by);
        }
        if (start..end).contains(&instruction.at) {
            continue;
        }
        let bytes = &code[instruction.at..instruction.at + instruction.len];
        let target = match *bytes {
            [op::PUSH2, high, low] => usize::from(u16::from_be_bytes([high, low])),
            _ => usize::MAX,
        };
        if target <= code.len() {
            let [high, low] = (moved(target) as u16).to_be_bytes();
            new.extend([op::PUSH2, high, low]);
        } else {
            new.extend_from_slice(bytes);
        }
    }
    new.into()
}

/// The code with these instructions as STOPs, so that everything else stays where it is.
fn stopped(code: &Bytes, first: usize, count: usize) -> Bytes {
    let mut new = code.to_vec();
    for instruction in instructions(code).iter().skip(first).take(count) {
        new[instruction.at..instruction.at + instruction.len].fill(op::STOP);
    }
    new.into()
}

/// Instructions that do to the stack what this one does, and nothing else.
fn neutral(byte: u8, fork: Fork) -> Option<Vec<u8>> {
    let row = Opcode::of(byte, fork)?;
    let kept = matches!(byte, op::POP | op::PUSH0 | op::STOP | op::JUMPDEST | op::JUMP | op::RETURN | op::REVERT);
    if kept || (op::PUSH1..=op::PUSH32).contains(&byte) {
        return None;
    }
    let (pops, pushes) = match byte {
        op::DUP1..=op::DUP16 => (0, 1),
        op::SWAP1..=op::SWAP16 => (0, 0),
        _ => (row.pops, row.pushes),
    };
    let zero: &[u8] = if fork >= Fork::Shanghai { &[op::PUSH0] } else { &[op::PUSH1, 0] };
    let mut code = vec![op::POP; pops.into()];
    (0..pushes).for_each(|_| code.extend_from_slice(zero));
    Some(code)
}

/// The code with one instruction made plain: a smaller constant, or an opcode that does less.
fn plainer(code: &Bytes, index: usize) -> Vec<Bytes> {
    let list = instructions(code);
    let Some(instruction) = list.get(index) else { return Vec::new() };
    let with = |bytes: &[u8]| {
        let mut new = code[..instruction.at].to_vec();
        new.extend_from_slice(bytes);
        new.extend_from_slice(&code[instruction.at + instruction.len..]);
        Bytes::from(new)
    };
    if instruction.len > 1 {
        let mut plain = Vec::new();
        let width = instruction.len - 1;
        let now = &code[instruction.at + 1..instruction.at + instruction.len];
        for last in [0u8, 1] {
            let mut data = vec![0; width];
            data[width - 1] = last;
            if now == data {
                break;
            }
            plain.push(with(&[&[instruction.byte], data.as_slice()].concat()));
        }
        plain
    } else if !matches!(instruction.byte, op::POP | op::STOP | op::JUMPDEST | op::PUSH0) {
        [op::POP, op::PUSH0, op::STOP].iter().map(|byte| with(&[*byte])).collect()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::code::Code;

    #[test]
    fn jumps_follow_what_is_deleted() {
        let mut code = Code::new(Fork::Osaka);
        let label = code.new_label();
        code.push(7.into()).op(op::POP).push_label(label).op(op::JUMP).op(op::INVALID).place(label).op(op::GAS);
        let code = code.finish();
        assert_eq!(hex::encode(&code), "600750610008 56fe5b5a".replace(' ', ""));
        assert_eq!(hex::encode(replaced(&code, 0, 2, &[])), "61000556fe5b5a");
        assert_eq!(hex::encode(stopped(&code, 0, 2)), "00000061000856fe5b5a");
        assert_eq!(hex::encode(replaced(&code, 0, 1, &[op::GAS, op::GAS])), "5a5a50610008 56fe5b5a".replace(' ', ""));
        assert_eq!(hex::encode(replaced(&code, 4, 1, &[])), "600750610007565b5a");
    }
}
