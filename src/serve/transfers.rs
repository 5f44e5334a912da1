//! Value that moves, told as logs: `traceTransfers` of `eth_simulateV1`.

use isolane_cpu::Observer;
use isolane_cpu::observer::{CallKind, Enter, Exit};
use isolane_spec::{Bytes, H160, H256, Log, U256};

/// The account that seems to log.
const ADDRESS: H160 = H160([0xee; 20]);
/// Keccak-256 of `Transfer(address,address,uint256)`.
const TRANSFER: H256 = H256([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b, 0xa7,
    0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);

/// Collects the logs of a transaction, and one for each value that moves, in their order; what is undone is left out.
#[derive(Debug, Default)]
pub struct Transfers {
    logs: Vec<Log>,
    /// How many logs there were when each running frame began.
    open: Vec<usize>,
}

impl Transfers {
    /// The logs.
    #[must_use]
    pub fn take(self) -> Vec<Log> {
        self.logs
    }

    fn moved(&mut self, from: H160, to: H160, value: U256) {
        if value.is_zero() {
            return;
        }
        let topics = vec![TRANSFER, H256::from(from), H256::from(to)];
        self.logs.push(Log { address: ADDRESS, topics, data: Bytes::copy_from_slice(&value.to_big_endian()) });
    }
}

impl Observer for Transfers {
    fn enter(&mut self, enter: &Enter<'_>) {
        self.open.push(self.logs.len());
        if !matches!(enter.kind, CallKind::DelegateCall | CallKind::StaticCall) {
            self.moved(enter.from, enter.to, enter.value);
        }
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        let before = self.open.pop().unwrap_or_default();
        if !exit.status.is_success() {
            self.logs.truncate(before);
        }
    }

    fn log(&mut self, log: &Log) {
        self.logs.push(log.clone());
    }

    fn selfdestruct(&mut self, contract: H160, beneficiary: H160, balance: U256) {
        self.moved(contract, beneficiary, balance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_that_of_a_transfer() {
        assert_eq!(crate::convert::keccak("Transfer(address,address,uint256)"), TRANSFER);
    }
}
