//! Delegations (EIP-7702).

use super::{address_of, keccak256};
use alloy_rlp::Encodable;
use isolane_spec::{Authorization, Bytes, H160, U256, word};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

/// Delegation designators start with this.
const PREFIX: [u8; 3] = [0xef, 0x01, 0x00];
/// What is signed starts with this.
const MAGIC: u8 = 0x05;
/// Half the order of secp256k1: a higher s is refused (EIP-2).
const HALF_ORDER: U256 =
    U256([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

/// The account that code delegates to, where it is a designator.
pub(super) fn delegation(code: &[u8]) -> Option<H160> {
    let target: [u8; 20] = code.strip_prefix(&PREFIX)?.try_into().ok()?;
    Some(H160(target))
}

/// The code of an account that delegates.
pub(super) fn designator(target: &H160) -> Bytes {
    [&PREFIX[..], &target.0].concat().into()
}

/// Who signed an authorization; `None` if the signature is no good.
#[must_use]
pub fn recover_authority(authorization: &Authorization) -> Option<H160> {
    if authorization.s > HALF_ORDER {
        return None;
    }
    let is_odd = match word::to_u64(&authorization.y_parity)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let Authorization { chain_id, address, nonce, .. } = authorization;
    let chain_id = word::to_be(chain_id);
    let leading = chain_id.iter().take_while(|byte| **byte == 0).count();
    let chain_id = chain_id.get(leading..)?;
    let payload_length = chain_id.length() + address.0.length() + nonce.length();
    let mut message = vec![MAGIC];
    alloy_rlp::Header { list: true, payload_length }.encode(&mut message);
    chain_id.encode(&mut message);
    address.0.encode(&mut message);
    nonce.encode(&mut message);
    let signature = Signature::from_scalars(word::to_be(&authorization.r), word::to_be(&authorization.s)).ok()?;
    let recovery_id = RecoveryId::new(is_odd, false);
    let key = VerifyingKey::recover_from_prehash(&keccak256(&message).0, &signature, recovery_id).ok()?;
    // The first byte is the tag of the uncompressed form.
    Some(address_of(key.to_encoded_point(false).as_bytes().get(1..)?))
}
