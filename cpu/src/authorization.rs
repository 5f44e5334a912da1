//! What the authorizations of a transaction do before it runs (EIP-7702).

use crate::crypto;
use crate::execution::Executor;
use crate::lane::designator;
use alloy_rlp::Encodable;
use isolane_spec::{Authorization, Bytes, H160, KECCAK_EMPTY, StateError, U256, word};

/// Half the order of secp256k1: a higher s is refused (EIP-2, EIP-7702).
const SECP256K1_HALF_ORDER: U256 =
    U256([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

impl Executor {
    /// Sets the delegations of an EIP-7702 transaction; a tuple that fails a check is skipped.
    #[inline(always)]
    pub(crate) fn set_delegations(&mut self, authorizations: &[Authorization]) -> Result<(), StateError> {
        for authorization in authorizations {
            let chain_id = U256::from(self.lane.environment.rules.chain_id);
            let any_chain = authorization.chain_id.is_zero();
            if !(any_chain || authorization.chain_id == chain_id) || authorization.nonce == u64::MAX {
                continue;
            }
            let Some(authority) = recover_authority(authorization) else { continue };
            let account = self.lane.load(&authority)?;
            self.lane.journal.warm(account);
            let info = self.lane.journal.account(account).info;
            if info.code_hash != KECCAK_EMPTY && self.lane.delegation(account)?.is_none() {
                continue;
            }
            if info.nonce != authorization.nonce {
                continue;
            }
            let journal = &mut self.lane.journal;
            if journal.account(account).exists {
                journal.refund += i64::from(self.lane.schedule.authorization_refund);
                // Its account is paid for as if it were new (EIP-8037).
                self.lane.state_gas.reservoir += self.lane.state_gas.account;
            }
            if authorization.address.is_zero() {
                journal.set_code(account, Bytes::new(), KECCAK_EMPTY);
            } else {
                let code = designator(&authorization.address);
                let code_hash = crypto::keccak256(&code);
                journal.set_code(account, code, code_hash);
            }
            journal.set_nonce(account, info.nonce + 1);
        }
        Ok(())
    }
}

/// Who signed an authorization (EIP-7702); `None` if the signature is no good.
fn recover_authority(authorization: &Authorization) -> Option<H160> {
    if authorization.s > SECP256K1_HALF_ORDER {
        return None;
    }
    let y_parity = word::to_u64(&authorization.y_parity).and_then(|parity| u8::try_from(parity).ok())?;
    // keccak(0x05 || rlp([chain_id, address, nonce])): at most 1 + 1 + 33 + 21 + 9 bytes.
    let chain_id = word::to_be(&authorization.chain_id);
    let significant = &chain_id[chain_id.iter().take_while(|byte| **byte == 0).count()..];
    let length = significant.length() + authorization.address.0.length() + authorization.nonce.length();
    let mut message = Vec::with_capacity(length + 4);
    message.push(0x05);
    alloy_rlp::Header { list: true, payload_length: length }.encode(&mut message);
    significant.encode(&mut message);
    authorization.address.0.encode(&mut message);
    authorization.nonce.encode(&mut message);
    let hash = crypto::keccak256(&message);
    crypto::recover(&hash.0, &word::to_be(&authorization.r), &word::to_be(&authorization.s), y_parity)
}
