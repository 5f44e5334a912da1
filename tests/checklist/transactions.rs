//! What one transaction leaves to the next, and what it is made of.

use crate::change;
use crate::world::{Check, MAIN, OTHER, World, asm, numbers};
use alloy_eips::eip7702;
use isolane::load::transaction::decode_transaction;
use isolane::spec::opcode::op;
use isolane::spec::{
    AccessListItem, Authorization, Bytes, Fork, H160, Halt, InvalidTransaction, Status, Transaction, TransactionType,
    U256,
};
use secp256k1::{Message, SECP256K1, SecretKey};

/// Neither a transaction that halts, nor one that reverts, nor one that is rejected leaves anything warm (EIP-2929).
pub fn warmth_after_errors() -> Vec<Check> {
    let fork = Fork::Osaka;
    // GAS, SLOAD of slot 0, BALANCE of another account, GAS: 2 + 2100 + 2 + 3 + 2600 + 2 + 2.
    let measure = asm(fork)
        .ops(&[op::GAS])
        .push(&[0])
        .ops(&[op::SLOAD, op::POP])
        .address(OTHER)
        .ops(&[op::BALANCE, op::POP, op::GAS, op::SWAP1, op::SUB])
        .store(0);
    let measure_then = |last: &[u8]| {
        let code = asm(fork).push(&[0]).ops(&[op::SLOAD, op::POP]).address(OTHER).ops(&[op::BALANCE, op::POP]);
        code.push(&[0, 0]).ops(last).done()
    };
    let cold = numbers(&[2 + 2100 + 2 + 3 + 2600 + 2 + 2]);
    let halting = H160([0xc3; 20]);
    let reverting = H160([0xc4; 20]);
    let list = vec![
        AccessListItem { address: MAIN, storage_keys: vec![0.into()] },
        AccessListItem { address: OTHER, storage_keys: Vec::new() },
    ];
    let listed = |nonce| Transaction {
        transaction_type: TransactionType::AccessList,
        to: Some(MAIN),
        access_list: list.clone(),
        nonce,
        ..Transaction::default()
    };
    let short = Transaction { to: Some(MAIN), gas_limit: 21_000 + 4_000, ..Transaction::default() };
    let rejected = Status::Rejected(InvalidTransaction::NonceTooHigh { expected: 4, got: 9 });
    vec![
        World::new("warmth after errors", fork)
            .contract(MAIN, 0, measure.give(1))
            .contract(OTHER, 1, Bytes::new())
            .contract(halting, 0, measure_then(&[op::INVALID]))
            .contract(reverting, 0, measure_then(&[op::REVERT]))
            .call(halting, Status::Halt(Halt::InvalidOpcode))
            .call(reverting, Status::Revert)
            .transaction(short, Status::Halt(Halt::OutOfGas))
            .call(MAIN, Status::Success)
            .output(cold.clone())
            .transaction(listed(5), rejected)
            .call(MAIN, Status::Success)
            .output(cold.clone())
            // With the access list both are warm; the next transaction has none of it.
            .transaction(listed(0), Status::Success)
            .output(numbers(&[2 + 100 + 2 + 3 + 100 + 2 + 2]))
            .call(MAIN, Status::Success)
            .output(cold)
            .done(),
    ]
}

/// An authorization that is signed right for this account, nonce 0 and chain 1.
fn authorization() -> (H160, Authorization) {
    authorization_of(9)
}

fn authorization_of(number: u8) -> (H160, Authorization) {
    let key = SecretKey::from_byte_array([number; 32]).expect("a secret key");
    let inner = eip7702::Authorization {
        chain_id: alloy_primitives::U256::from(1),
        address: alloy_primitives::Address::from(OTHER.0),
        nonce: 0,
    };
    let message = Message::from_digest(inner.signature_hash().0);
    let (recovery, signature) = SECP256K1.sign_ecdsa_recoverable(message, &key).serialize_compact();
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    let authority = H160::from_slice(&crate::world::keccak(&public[1..]).0[12..]);
    let authorization = Authorization {
        chain_id: 1.into(),
        address: OTHER,
        nonce: 0,
        y_parity: U256::from(i32::from(recovery) as u64),
        r: U256::from_big_endian(&signature[..32]),
        s: U256::from_big_endian(&signature[32..]),
    };
    (authority, authorization)
}

/// EIP-7702: a tuple whose parity is neither 0 nor 1 is skipped and delegates nothing; the transaction is valid.
pub fn parity() -> Vec<Check> {
    let (_, good) = authorization();
    let with = |y_parity: U256| Transaction {
        transaction_type: TransactionType::SetCode,
        to: Some(MAIN),
        authorization_list: vec![Authorization { y_parity, ..good.clone() }],
        ..Transaction::default()
    };
    let mut world = World::new("parity of an authorization", Fork::Osaka).contract(MAIN, 0, Bytes::new());
    for parity in
        [good.y_parity + 2, 2.into(), 3.into(), 27.into(), 28.into(), 255.into(), U256::from(256) + good.y_parity]
    {
        world = world
            .transaction(with(parity), Status::Success)
            // 21,000 and 25,000; nothing is refunded.
            .gas_used(46_000)
            .and(|outcome| assert!(change(outcome, authorization().0).is_none()));
    }
    vec![
        world
            .transaction(with(good.y_parity), Status::Success)
            .and(|outcome| {
                let (authority, _) = authorization();
                let delegated = change(outcome, authority).expect("a delegation");
                let code = delegated.code.as_ref().expect("a designator");
                assert_eq!(hex::encode(code), format!("ef0100{}", hex::encode(OTHER.0)));
                assert_eq!(delegated.after.map(|info| info.nonce), Some(1));
            })
            .done(),
    ]
}

/// EIP-7702: however many accounts delegate before the first instruction, it reads the storage that is there. Of that many
/// accounts a lane of a device may have no room from the start.
pub fn many_delegations() -> Vec<Check> {
    let fork = Fork::Osaka;
    let read = asm(fork).push(&[0]).ops(&[op::SLOAD]).store(0).give(1);
    [1, 8, 9, 10, 11, 12, 13, 40, 60]
        .into_iter()
        .map(|count| {
            let transaction = Transaction {
                transaction_type: TransactionType::SetCode,
                to: Some(MAIN),
                authorization_list: (1..=count).map(|number| authorization_of(number).1).collect(),
                gas_limit: 3_000_000,
                ..Transaction::default()
            };
            World::new("many delegations", fork)
                .contract_with(MAIN, 0, read.clone(), &[(0, 77)])
                .transaction(transaction, Status::Success)
                .output(numbers(&[77]))
                .and(|outcome| assert!(change(outcome, authorization_of(1).0).is_some()))
                .done()
        })
        .collect()
}

/// EL-2025-16 and EL-2024-22: bytes behind a transaction, and single bytes with a header of their own, are refused.
#[test]
fn rlp_is_canonical() {
    // A legacy transaction: nonce 1, price 1, gas 21,000, to 0xb2…, value 1, no data, v 27, r 1, s 1.
    let fields = |nonce: &[u8], tail: &[u8]| {
        let mut payload = nonce.to_vec();
        payload.extend([0x01, 0x82, 0x52, 0x08, 0x94]);
        payload.extend(OTHER.0);
        payload.extend([0x01, 0x80, 0x1b, 0x01, 0x01]);
        payload.extend(tail);
        let mut rlp = vec![0xc0 + payload.len() as u8];
        rlp.extend(payload);
        rlp
    };
    let good = fields(&[0x01], &[]);
    assert_eq!(decode_transaction(&good).expect("canonical").transaction.nonce, 1);
    let behind = [&good[..], &[0]].concat();
    for (what, rlp) in [
        ("a byte behind the transaction", behind),
        ("a field too many", fields(&[0x01], &[0x01])),
        ("a single byte with a header", fields(&[0x81, 0x01], &[])),
        ("a number with a leading zero", fields(&[0x82, 0x00, 0x81], &[])),
        ("zero as a byte", fields(&[0x00], &[])),
        ("a long header of a short string", fields(&[0xb8, 0x01, 0x81], &[])),
        ("a typed transaction with a byte behind it", vec![0x02, 0xc0, 0x00]),
        ("nothing", Vec::new()),
    ] {
        assert!(decode_transaction(&rlp).is_err(), "{what} is taken");
    }
}
