//! revm's databases as sources, and the other way round.

use super::support::*;
use isolane::executor::{DatabaseSource, Executor, MemorySource, SnapshotDatabase, Want};
use isolane::spec::{KECCAK_EMPTY, U256};
use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::{Address, TxKind};
use revm::state::AccountInfo;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use std::sync::Arc;

#[test]
fn a_database_is_a_source() {
    let state = world(100);
    let mut database = CacheDB::new(EmptyDB::default());
    for (address, account) in &state.accounts {
        let code = state.codes.get(&account.info.code_hash).filter(|_| account.info.code_hash != KECCAK_EMPTY);
        let info = AccountInfo {
            balance: revm::primitives::U256::from_limbs(account.info.balance.0),
            nonce: account.info.nonce,
            code: code.map(|code| Bytecode::new_raw(revm::primitives::Bytes(code.clone()))),
            ..AccountInfo::default()
        };
        let info = AccountInfo { code_hash: account.info.code_hash.0.into(), ..info };
        database.insert_account_info(Address::from(address.0), info);
        for (key, value) in &account.storage {
            let word = |word: &U256| revm::primitives::U256::from_limbs(word.0);
            database.insert_account_storage(Address::from(address.0), word(key), word(value)).expect("infallible");
        }
    }
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let snapshot = executor.snapshot(&Arc::new(DatabaseSource::new(database)), block(), rules());
    for (index, result) in executor.run(&snapshot, &balance_calls(PROXY, 100), Want::OUTPUT).into_iter().enumerate() {
        assert_eq!(U256::from_big_endian(&result.expect("an outcome").output), U256::from(10 * index));
    }
}

#[test]
fn a_snapshot_is_a_database() {
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let snapshot = executor.snapshot(&Arc::new(MemorySource::new(world(100))), block(), rules());
    let counting = executor.snapshot(&Arc::new(Counting::new(world(100))), block(), rules());
    for snapshot in [snapshot, counting] {
        let database = SnapshotDatabase { executor: executor.clone(), snapshot };
        let mut evm = Context::mainnet().with_ref_db(database).build_mainnet();
        let call = TxEnv {
            kind: TxKind::Call(Address::from(PROXY.0)),
            data: revm::primitives::Bytes(balance_of(holder(7))),
            gas_limit: 1_000_000,
            gas_price: 0,
            ..TxEnv::default()
        };
        let done = evm.transact(call).expect("a valid call");
        assert_eq!(done.result.output().map(|output| U256::from_big_endian(output)), Some(U256::from(70)));
    }
}
