//! Logs of Ether that moves or goes (EIP-7708).

use crate::journal::AccountIndex;
use crate::lane::Lane;
use crate::transition::SYSTEM_ADDRESS;
use isolane_spec::{Bytes, Fork, H160, H256, Log, U256, word};

/// Keccak-256 of `Transfer(address,address,uint256)`.
const TRANSFER: H256 = H256([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b, 0xa7,
    0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);
/// Keccak-256 of `Burn(address,uint256)`.
const BURN: H256 = H256([
    0xcc, 0x16, 0xf5, 0xdb, 0xb4, 0x87, 0x32, 0x80, 0x81, 0x5c, 0x1e, 0xe0, 0x9d, 0xbd, 0x06, 0x73, 0x6c, 0xff, 0xcc,
    0x18, 0x44, 0x12, 0xcf, 0x7a, 0x71, 0xa0, 0xfd, 0xb7, 0x5d, 0x39, 0x7c, 0xa5,
]);

impl Lane {
    /// Logs a transfer to another account.
    #[inline]
    pub fn log_transfer(&mut self, from: AccountIndex, to: AccountIndex, value: &U256) {
        if self.fork >= Fork::Amsterdam && from != to && !value.is_zero() {
            let address = |account| self.journal.account(account).address;
            let topics = vec![TRANSFER, topic(&address(from)), topic(&address(to))];
            self.log_value(topics, value);
        }
    }

    /// Logs Ether that goes with an account.
    #[inline]
    pub fn log_burn(&mut self, account: AccountIndex, value: &U256) {
        if self.fork >= Fork::Amsterdam && !value.is_zero() {
            self.log_value(vec![BURN, topic(&self.journal.account(account).address)], value);
        }
    }

    /// Logs what the accounts that the transaction destroys own at its very end.
    pub fn log_final_burns(&mut self) {
        if self.fork >= Fork::Amsterdam {
            for account in self.journal.destroyed() {
                let balance = self.journal.account(account).info.balance;
                self.log_burn(account, &balance);
            }
        }
    }

    #[cold]
    fn log_value(&mut self, topics: Vec<H256>, value: &U256) {
        let data = Bytes::copy_from_slice(&word::to_be(value));
        self.journal.logs.push(Log { address: SYSTEM_ADDRESS, topics, data });
    }
}

/// An address as a topic.
fn topic(address: &H160) -> H256 {
    word::to_hash(&word::from_address(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;

    #[test]
    fn topics_are_the_hashes_of_their_events() {
        assert_eq!(TRANSFER, keccak256(b"Transfer(address,address,uint256)"));
        assert_eq!(BURN, keccak256(b"Burn(address,uint256)"));
    }
}
