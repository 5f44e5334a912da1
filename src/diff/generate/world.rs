//! The accounts that generated programs know.

use super::random::Random;
use crate::conformance::address_of;
use crate::convert::{keccak, to_address, to_word};
use alloy_eips::eip7702;
use isolane_cpu::precompile::Precompile;
use isolane_spec::{AccountInfo, Authorization, Bytes, Fork, H160, H256, MemoryState, U256};
use secp256k1::{Message, SECP256K1, SecretKey};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Who sends transactions.
pub(crate) const SENDERS: usize = 3;
/// Who signs delegations besides.
pub(crate) const AUTHORITIES: usize = 3;
/// Accounts that only delegate, in long lists of authorizations.
pub(crate) const MORE_AUTHORITIES: usize = 61;
/// Contracts of a program at most.
pub(crate) const CONTRACTS: usize = 4;

/// Accounts of a program, about.
pub(crate) const ACCOUNTS: usize = 14;

/// The secret key with this number, counted from 1: the whole key is the number, as in many a test.
pub(crate) fn secret_key(number: u64) -> H256 {
    H256::from_low_u64_be(number)
}

struct Signer {
    address: H160,
    key: SecretKey,
}

/// Senders first, then authorities.
fn signers() -> &'static [Signer] {
    static SIGNERS: OnceLock<Vec<Signer>> = OnceLock::new();
    SIGNERS.get_or_init(|| {
        (1..=(SENDERS + AUTHORITIES + MORE_AUTHORITIES) as u64)
            .filter_map(|number| {
                let secret = secret_key(number);
                let key = SecretKey::from_byte_array(secret.0).ok()?;
                Some(Signer { address: address_of(secret)?, key })
            })
            .collect()
    })
}

/// A sender's address.
pub(crate) fn sender(index: usize) -> H160 {
    signers()[index % SENDERS].address
}

/// An authority's address.
pub(crate) fn authority(index: usize) -> H160 {
    signers()[SENDERS + index % AUTHORITIES].address
}

/// The secret key of a sender or authority.
#[must_use]
pub fn secret_key_of(address: H160) -> Option<H256> {
    let index = signers().iter().position(|signer| signer.address == address)?;
    Some(secret_key(index as u64 + 1))
}

/// A contract's address. Short ones make short PUSHes, and none is a precompile's in any fork.
pub(crate) fn contract(index: usize) -> H160 {
    match index {
        0 => H160::from_low_u64_be(0x1000),
        1 => H160::from_low_u64_be(0x00c0_de01),
        2 => H160([0xc2; 20]),
        _ => H160::from_low_u64_be(0x1_0000_0000 + index as u64),
    }
}

/// An account with balance and no code.
pub(crate) const RICH: H160 = H160([0x71; 20]);
/// An account that does not exist.
pub(crate) const NOBODY: H160 = H160([0xde; 20]);
/// The usual COINBASE.
pub(crate) const COINBASE: H160 = H160([0xcb; 20]);
/// An account that only has a nonce.
pub(crate) const QUIET: H160 = H160([0x01; 20]);

/// An address that a program may name.
pub(crate) fn address(random: &mut Random, fork: Fork) -> H160 {
    match random.below(16) {
        0..=5 => {
            let index = random.below(CONTRACTS);
            contract(index)
        }
        6 => RICH,
        7 => NOBODY,
        8 => COINBASE,
        9 => sender(random.below(SENDERS)),
        10 | 11 => authority(random.below(AUTHORITIES)),
        12 => QUIET,
        13 => precompile(random, fork),
        14 => H160::from_low_u64_be(random.between(0, 0x20)),
        _ => H160::from_slice(&random.word().to_big_endian()[12..]),
    }
}

/// The address of a precompile, mostly one of the fork.
pub(crate) fn precompile(random: &mut Random, fork: Fork) -> H160 {
    if random.chance(80) {
        // Perhaps one of a later fork, or none at all.
        return H160::from_low_u64_be(random.between(1, 20));
    }
    let there = Precompile::active(fork).count();
    let chosen = random.below(there);
    Precompile::active(fork).nth(chosen).map_or(NOBODY, |(address, _)| address)
}

/// The delegation designator to an address (EIP-7702).
pub(crate) fn designator(target: H160) -> Bytes {
    [&[0xef, 0x01, 0x00][..], &target.0].concat().into()
}

/// A signed delegation. Signing is slow, so each thread keeps what it signed; there are few different ones.
pub(crate) fn authorization(signer: usize, chain_id: u64, target: H160, nonce: u64) -> Authorization {
    type Key = (usize, u64, H160, u64);
    thread_local! {
        static SIGNED: RefCell<HashMap<Key, Authorization>> = RefCell::new(HashMap::new());
    }
    let key = (signer % signers().len(), chain_id, target, nonce);
    if let Some(known) = SIGNED.with_borrow(|signed| signed.get(&key).cloned()) {
        return known;
    }
    let inner = eip7702::Authorization { chain_id: to_word(chain_id.into()), address: to_address(target), nonce };
    let message = Message::from_digest(inner.signature_hash().0);
    let (recovery, signature) = SECP256K1.sign_ecdsa_recoverable(message, &signers()[key.0].key).serialize_compact();
    let authorization = Authorization {
        chain_id: chain_id.into(),
        address: target,
        nonce,
        y_parity: U256::from(i32::from(recovery) as u64),
        r: U256::from_big_endian(&signature[..32]),
        s: U256::from_big_endian(&signature[32..]),
    };
    SIGNED.with_borrow_mut(|signed| {
        if signed.len() > 4096 {
            signed.clear();
        }
        signed.insert(key, authorization.clone());
    });
    authorization
}

/// The accounts besides contracts and senders.
pub(crate) fn bystanders(state: &mut MemoryState, random: &mut Random, fork: Fork) {
    let with = |nonce, balance: u64| AccountInfo { nonce, balance: balance.into(), ..AccountInfo::default() };
    state.insert(RICH, with(0, 1_000_000_007), Bytes::new(), []);
    state.insert(QUIET, with(3, 0), Bytes::new(), []);
    if random.chance(500) {
        state.insert(COINBASE, with(0, 1), Bytes::new(), []);
    }
    if random.chance(40) {
        // Empty, as only accounts from before EIP-161 are: a touch removes it.
        state.insert(H160::from_low_u64_be(random.between(1, 9)), with(0, 0), Bytes::new(), []);
    }
    if fork >= Fork::Prague {
        for index in 0..AUTHORITIES {
            match random.below(4) {
                0 | 1 => {
                    // Delegated already, sometimes to an account that delegates too, to a precompile, or to nobody.
                    let target = match random.below(8) {
                        0 => authority(index + 1),
                        1 => precompile(random, fork),
                        2 => NOBODY,
                        _ => contract(random.below(CONTRACTS)),
                    };
                    let code = designator(target);
                    let info = AccountInfo { code_hash: keccak(&code), ..with(random.below(2) as u64, 5) };
                    let slot = (U256::from(random.below(4)), random.word());
                    state.insert(authority(index), info, code, [slot]);
                }
                2 => state.insert(authority(index), with(random.below(2) as u64, 5), Bytes::new(), []),
                _ => {}
            }
        }
    } else {
        state.insert(authority(0), with(0, 9), Bytes::new(), []);
    }
}
