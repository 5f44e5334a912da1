use super::*;
use crate::convert::{from_address, from_b256, to_address, to_b256, to_word};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use isolane_spec::{AccessListItem, Authorization, TransactionType};

/// The first transaction of mainnet (block 46147).
const FIRST: &str = "f86780862d79883d2000825208945df9b87991262f6ba471f09758cde1c0fc1de734827a69801ca088ff6cf0fefd94db4611\
                     1149ae4bfc179e9b94721fffd821d38d16464b3f71d0a045e0aff800961cfce805daef7016b9b675c137a6a41a548f7b60\
                     a3484c06a33a";
/// The example of EIP-155.
const EIP155: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340b\
                      d939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc\
                      64214b297fb1966a3b6d83";

fn bytes(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits.replace(char::is_whitespace, "")).expect("hex digits")
}

#[test]
fn the_first_transaction_of_mainnet() {
    let signed = decode_transaction(&bytes(FIRST)).expect("a transaction");
    assert_eq!(hex::encode(signed.hash), "5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060");
    let sender = signed.recover_sender(Fork::Frontier).expect("a sender");
    assert_eq!(hex::encode(sender), "a1e4380a3b1f749673e270229993ee55f35663b4");
    assert_eq!(signed.transaction.value, U256::from(31_337));
    assert_eq!(signed.transaction.chain_id, None);
}

#[test]
fn the_example_of_eip_155() {
    let signed = decode_transaction(&bytes(EIP155)).expect("a transaction");
    assert_eq!(hex::encode(signed.signing_hash()), "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    let sender = signed.recover_sender(Fork::SpuriousDragon).expect("a sender");
    assert_eq!(hex::encode(sender), "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
    assert_eq!(signed.transaction.chain_id, Some(1));
    assert_eq!(signed.recover_sender(Fork::Homestead), Err(SignatureError::ChainIdBeforeEip155(1)));
}

fn examples() -> Vec<SignedTransaction> {
    let base = Transaction {
        nonce: 7,
        gas_limit: 123_456,
        max_fee_per_gas: U256::from(40_000_000_000u64),
        max_priority_fee_per_gas: U256::from(40_000_000_000u64),
        to: Some(H160::repeat_byte(0x11)),
        value: U256::exp10(18),
        input: Bytes::from_static(&[0, 1, 2, 3]),
        chain_id: Some(1),
        ..Transaction::default()
    };
    let access_list = vec![
        AccessListItem { address: H160::repeat_byte(3), storage_keys: vec![U256::zero(), U256::MAX] },
        AccessListItem { address: H160::repeat_byte(4), storage_keys: vec![] },
    ];
    let tip = U256::from(5);
    let authorization = Authorization {
        chain_id: U256::one(),
        address: H160::repeat_byte(9),
        nonce: 3,
        y_parity: U256::one(),
        r: U256::from(77),
        s: U256::from(88),
    };
    let typed = |kind| Transaction {
        transaction_type: kind,
        access_list: access_list.clone(),
        max_priority_fee_per_gas: if kind == TransactionType::AccessList { base.max_fee_per_gas } else { tip },
        ..base.clone()
    };
    let all = [
        Transaction { chain_id: None, to: None, input: Bytes::from(vec![0x60; 300]), ..base.clone() },
        base.clone(),
        typed(TransactionType::AccessList),
        typed(TransactionType::DynamicFee),
        Transaction {
            max_fee_per_blob_gas: U256::from(9),
            blob_versioned_hashes: vec![H256::repeat_byte(1), H256::repeat_byte(2)],
            ..typed(TransactionType::Blob)
        },
        Transaction { authorization_list: vec![authorization], ..typed(TransactionType::SetCode) },
    ];
    // Any r that is on the curve makes a signature of someone.
    let signature = |odd_y| Signature { r: U256::from(3), s: U256::from(12_345), odd_y };
    all.into_iter()
        .enumerate()
        .map(|(index, transaction)| SignedTransaction::new(transaction, signature(index % 2 == 1)))
        .collect()
}

#[test]
fn all_types_round_trip_and_agree_with_alloy() {
    for signed in examples() {
        let kind = signed.transaction.transaction_type;
        assert_eq!(decode_transaction(&signed.encoded).as_ref(), Ok(&signed), "{kind:?}");
        let theirs = TxEnvelope::decode_2718_exact(&signed.encoded).expect("alloy decodes it");
        assert_eq!(from_b256(*theirs.tx_hash()), signed.hash, "{kind:?}");
        assert_eq!(theirs.signature_hash(), to_b256(signed.signing_hash()), "{kind:?}");
        let sender = signed.recover_sender(Fork::Prague).expect("a sender");
        assert_eq!(theirs.recover_signer().map(from_address).ok(), Some(sender), "{kind:?}");
        assert_eq!(theirs.value(), to_word(signed.transaction.value));
        assert_eq!(theirs.to(), signed.transaction.to.map(to_address));
        assert_eq!(theirs.input()[..], signed.transaction.input[..]);
    }
}

#[test]
fn senders_of_many_are_those_of_each() {
    let mut all = examples();
    let each: Vec<_> = all.iter().map(|signed| signed.recover_sender(Fork::Prague)).collect();
    assert_eq!(recover_senders(&all, Fork::Prague), each);
    assert_eq!(recover_into(&mut all, Fork::Prague), Ok(()));
    assert_eq!(Ok(all[2].transaction.sender), each[2]);
    all[1] = SignedTransaction::new(all[1].transaction.clone(), Signature::default());
    let zero = SignatureError::OutOfRange { field: "r", got: U256::zero() };
    assert_eq!(recover_into(&mut all, Fork::Prague), Err((1, zero)));
}

#[test]
fn a_high_s_is_valid_before_homestead_only() {
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
        .expect("the order of secp256k1");
    let signed = decode_transaction(&bytes(FIRST)).expect("a transaction");
    let sender = signed.recover_sender(Fork::Frontier);
    let low = signed.signature;
    let high = Signature { s: order - low.s, odd_y: !low.odd_y, ..low };
    let flipped = SignedTransaction::new(signed.transaction.clone(), high);
    assert_eq!(flipped.recover_sender(Fork::Frontier), sender);
    assert_eq!(flipped.recover_sender(Fork::Homestead), Err(SignatureError::HighS(high.s)));
    for field in ["r", "s"] {
        for got in [U256::zero(), order, U256::MAX] {
            let mut wrong = low;
            *(if field == "r" { &mut wrong.r } else { &mut wrong.s }) = got;
            let wrong = SignedTransaction::new(signed.transaction.clone(), wrong);
            assert_eq!(wrong.recover_sender(Fork::Frontier), Err(SignatureError::OutOfRange { field, got }));
        }
    }
}

#[test]
fn other_encodings_are_refused() {
    use TransactionDecodeError as E;
    assert_eq!(decode_transaction(&[]), Err(E::Empty));
    assert_eq!(decode_transaction(&[5, 0xc0]), Err(E::UnknownType(5)));
    assert_eq!(decode_transaction(&[0, 0xc0]), Err(E::UnknownType(0)));
    for signed in examples() {
        let whole = &signed.encoded;
        for length in 0..whole.len() {
            assert!(decode_transaction(&whole[..length]).is_err(), "cut to {length}");
        }
        let longer = [whole, &[0][..]].concat();
        assert_eq!(decode_transaction(&longer), Err(E::TrailingBytes { count: 1 }));
    }
    // `v` of the first transaction is its 0x1c.
    let first = bytes(FIRST);
    let v = first.windows(2).position(|pair| pair == [0x1c, 0xa0]).expect("v before r");
    for (value, fine) in
        [(0u8, false), (1, false), (26, false), (27, true), (28, true), (29, false), (34, false), (37, true)]
    {
        let mut changed = first.clone();
        changed[v] = value;
        assert_eq!(decode_transaction(&changed).is_ok(), fine, "v = {value}");
    }
}

#[test]
fn damaged_bytes_never_panic_and_never_pass_for_the_same_transaction() {
    for signed in examples() {
        for index in 0..signed.encoded.len() {
            for bit in 0..8 {
                let mut damaged = signed.encoded.to_vec();
                damaged[index] ^= 1 << bit;
                if let Ok(other) = decode_transaction(&damaged) {
                    assert_ne!(other.hash, signed.hash);
                    // Whatever is accepted is canonical: its content encodes to the same bytes.
                    let again = SignedTransaction::new(other.transaction.clone(), other.signature);
                    assert_eq!(again.encoded[..], damaged[..]);
                    let _ = other.recover_sender(Fork::Prague);
                }
            }
        }
    }
}
