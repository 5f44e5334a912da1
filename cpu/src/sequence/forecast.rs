//! Whether the transactions of a sequence depend on those just before them, told from those that were executed in order.

use hashbrown::HashMap;
use isolane_spec::{AccountDiff, H160, Reads, U256};

/// A transaction that reads what one of so many before it wrote would most likely have gone stale.
const NEAR: u32 = 3;
/// So many of the last ones are looked at.
const WINDOW: u32 = 8;
/// So many are looked at in all; then executing ahead is given up.
const PATIENCE: u32 = 16;
/// Fewer say nothing.
const ENOUGH: u32 = 3;

/// What is known of the transactions so far.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// Which transaction wrote an account (`None`) or a slot last.
    writers: HashMap<(H160, Option<U256>), u32>,
    seen: u32,
    /// One bit for each of the last ones, the last lowest: whether it depended on one near it.
    dependent: u32,
}

impl Forecast {
    /// Takes in what a transaction read and wrote. Its sender and the beneficiary do not count: a sender's transactions
    /// are never executed ahead of one another, and fees are added to what the beneficiary has by then.
    pub fn observe(&mut self, reads: &Reads, diff: &[AccountDiff], sender: H160, beneficiary: H160) {
        let counts = |address: &H160| *address != sender && *address != beneficiary;
        let near = |key: &(H160, Option<U256>)| self.writers.get(key).is_some_and(|writer| self.seen - writer <= NEAR);
        let depends = reads.slots.iter().any(|slot| near(&(slot.address, Some(slot.key))))
            || reads.accounts.iter().any(|account| counts(&account.address) && near(&(account.address, None)));
        self.dependent = self.dependent << 1 | u32::from(depends);
        for change in diff {
            if change.before != change.after && counts(&change.address) {
                self.writers.insert((change.address, None), self.seen);
            }
            for slot in &change.storage {
                self.writers.insert((change.address, Some(slot.key)), self.seen);
            }
        }
        self.seen += 1;
    }

    /// Whether enough were looked at, and at most half of the last ones depended on those near them.
    pub fn is_good(&self) -> bool {
        let looked_at = self.seen.min(WINDOW);
        let dependent = (self.dependent & ((1 << looked_at) - 1)).count_ones();
        looked_at >= ENOUGH && dependent * 2 <= looked_at
    }

    /// Whether it is not worth looking on.
    pub fn is_over(&self) -> bool {
        self.seen >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{AccountInfo, AccountRead, SlotDiff, SlotRead};

    const SENDER: H160 = H160::repeat_byte(1);
    const BENEFICIARY: H160 = H160::repeat_byte(2);
    const CONTRACT: H160 = H160::repeat_byte(3);

    fn account(address: H160) -> AccountDiff {
        AccountDiff {
            address,
            before: None,
            after: Some(AccountInfo::default()),
            code: None,
            storage_wiped: false,
            storage: Vec::new(),
        }
    }

    fn slot(key: u64) -> (Reads, AccountDiff) {
        let key = U256::from(key);
        let read = SlotRead { address: CONTRACT, key, before: U256::zero(), warm: true };
        let written = SlotDiff { key, before: U256::zero(), after: U256::one() };
        let diff = AccountDiff { after: None, storage: vec![written], ..account(CONTRACT) };
        (Reads { slots: vec![read], ..Reads::default() }, diff)
    }

    fn observe(keys: impl IntoIterator<Item = u64>) -> Forecast {
        let mut forecast = Forecast::default();
        for key in keys {
            let (reads, diff) = slot(key);
            forecast.observe(&reads, &[diff], SENDER, BENEFICIARY);
        }
        forecast
    }

    #[test]
    fn a_few_say_nothing() {
        assert!(!observe(0..2).is_good());
        assert!(observe(0..3).is_good());
    }

    #[test]
    fn slots_that_were_written_just_before_count() {
        assert!(!observe([0; 8]).is_good());
        assert!(observe([0, 1, 2, 3, 0, 1, 2, 3]).is_good(), "further away than it looks");
        assert!(!observe([0, 1, 2, 0, 1, 2, 0, 1, 2]).is_good());
        // What comes later counts more.
        assert!(observe([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]).is_good());
    }

    #[test]
    fn senders_and_the_beneficiary_do_not_count() {
        let mut forecast = Forecast::default();
        for _ in 0..8 {
            let read = |address| AccountRead { address, before: None, code: false, warm: true };
            let reads = Reads { accounts: vec![read(SENDER), read(BENEFICIARY)], ..Reads::default() };
            forecast.observe(&reads, &[account(SENDER), account(BENEFICIARY)], SENDER, BENEFICIARY);
        }
        assert!(forecast.is_good());
    }

    #[test]
    fn it_does_not_look_on_for_ever() {
        assert!(!observe([0; 15]).is_over());
        assert!(observe([0; 16]).is_over());
    }
}
