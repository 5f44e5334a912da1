//! Between isolane's types and alloy's.

use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_primitives::{Address, B256, TxKind};
use isolane::executor::{Call, FromAlloy, RevertReason, ToAlloy};
use isolane::spec::{AccessListItem, Authorization, Bytes, H160, H256, Log, TransactionType, U256, Validation};

fn there_and_back<T, A>(value: T)
where
    T: ToAlloy<Alloy = A> + FromAlloy<A> + PartialEq + std::fmt::Debug,
{
    assert_eq!(T::from_alloy(value.to_alloy()), value);
}

#[test]
fn values_come_back_as_they_were() {
    there_and_back(H160([0xab; 20]));
    there_and_back(H256([0xcd; 32]));
    there_and_back(U256::from(0x1234_5678_9abc_u64) << 100);
    there_and_back(Bytes::from_static(b"data"));
    there_and_back(Log { address: H160([1; 20]), topics: vec![H256([2; 32]), H256([3; 32])], data: vec![4, 5].into() });
    assert_eq!(U256::from(258).to_alloy().to_be_bytes::<32>()[30..], [1, 2]);
    let list = vec![AccessListItem { address: H160([7; 20]), storage_keys: vec![U256::one(), U256::MAX] }];
    assert_eq!(Vec::from_alloy(list.to_alloy()), list);
    let tuple = Authorization {
        chain_id: U256::one(),
        address: H160([8; 20]),
        nonce: 9,
        y_parity: U256::one(),
        r: U256::from(10),
        s: U256::from(11),
    };
    assert_eq!(tuple.to_alloy().map(Authorization::from_alloy), Some(tuple.clone()));
    assert_eq!(Authorization { y_parity: U256::from(256), ..tuple }.to_alloy(), None);
}

#[test]
fn transactions_become_calls() {
    let to = Address::from([5; 20]);
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce: 3,
        gas_limit: 50_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 2,
        to: TxKind::Call(to),
        value: alloy_primitives::U256::from(6),
        access_list: [AccessListItem { address: H160([7; 20]), storage_keys: vec![U256::one()] }].to_alloy(),
        input: vec![1, 2, 3].into(),
    };
    let call = Call::from_alloy_transaction(&transaction, Address::from([9; 20]));
    assert_eq!((call.from, call.to), (H160([9; 20]), Some(H160([5; 20]))));
    assert_eq!((call.max_fee_per_gas, call.max_priority_fee_per_gas), (Some(100.into()), Some(2.into())));
    assert_eq!((call.nonce, call.chain_id, call.validation), (Some(3), Some(1), Validation::Full));
    assert_eq!((call.transaction_type, call.access_list.len()), (Some(TransactionType::DynamicFee), 1));
    let creation = TxLegacy { gas_price: 7, to: TxKind::Create, ..TxLegacy::default() };
    let call = Call::from_alloy_transaction(&creation, Address::ZERO);
    assert_eq!((call.to, call.max_priority_fee_per_gas), (None, Some(7.into())));
}

#[test]
fn errors_of_a_contracts_own_can_be_read() {
    alloy_sol_types::sol! {
        error Sorry(bytes32 why);
    }
    use alloy_sol_types::SolError;
    let data: Bytes = Sorry { why: B256::repeat_byte(3) }.abi_encode().into();
    let reason = RevertReason::decode(&data);
    assert_eq!(reason.custom::<Sorry>().map(|sorry| sorry.why), Some(B256::repeat_byte(3)));
    assert!(RevertReason::Empty.custom::<Sorry>().is_none());
}

#[cfg(feature = "revm")]
#[test]
fn calls_go_to_revm_and_back() {
    use isolane::executor::{FromRevm, ToRevm};
    let call = Call {
        gas: Some(100_000),
        nonce: Some(4),
        access_list: vec![AccessListItem { address: H160([7; 20]), storage_keys: vec![U256::one()] }],
        ..Call::new(H160([5; 20]), vec![1, 2, 3]).sender(H160([6; 20])).value(8.into()).gas_price(9.into())
    };
    assert_eq!(Call::from_revm(call.to_revm()), call);
    let info = isolane::spec::AccountInfo { nonce: 1, balance: 2.into(), ..Default::default() };
    assert_eq!(isolane::spec::AccountInfo::from_revm(&info.to_revm()), info);
}
