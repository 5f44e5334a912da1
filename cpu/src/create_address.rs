//! The addresses of created contracts.

use crate::crypto::keccak256;
use isolane_spec::{H160, H256, U256, word};

/// The address that CREATE gives (Yellow Paper 7).
pub(crate) fn create_address(sender: &H160, nonce: u64) -> H160 {
    // RLP of [sender, nonce]: at most 1 + 21 + 9 bytes.
    let mut rlp = [0u8; 31];
    rlp[1] = 0x80 + 20;
    rlp[2..22].copy_from_slice(&sender.0);
    let bytes = nonce.to_be_bytes();
    let significant = &bytes[nonce.leading_zeros() as usize / 8..];
    let len = match significant {
        [byte] if *byte < 0x80 => {
            rlp[22] = *byte;
            23
        }
        _ => {
            rlp[22] = 0x80 + significant.len() as u8;
            rlp[23..23 + significant.len()].copy_from_slice(significant);
            23 + significant.len()
        }
    };
    rlp[0] = 0xc0 + (len - 1) as u8;
    word::to_address(&word::from_hash(&keccak256(&rlp[..len])))
}

/// The address that CREATE2 gives (EIP-1014).
pub(crate) fn create2_address(sender: &H160, salt: &U256, init_code_hash: &H256) -> H160 {
    let mut bytes = [0u8; 85];
    bytes[0] = 0xff;
    bytes[1..21].copy_from_slice(&sender.0);
    bytes[21..53].copy_from_slice(&word::to_be(salt));
    bytes[53..].copy_from_slice(&init_code_hash.0);
    word::to_address(&word::from_hash(&keccak256(&bytes)))
}
