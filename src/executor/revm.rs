//! Between isolane's types and revm's (feature `revm`). Words, addresses and logs are alloy's.

use super::Call;
use crate::diff::oracle::convert;
use isolane_spec::{
    AccessListItem, AccountInfo, Authorization, Environment, Fork, H256, KECCAK_EMPTY, U256, Validation,
};
use revm::context::either::Either;
use revm::context::transaction::SignedAuthorization;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::primitives::TxKind;
use revm::state::AccountInfo as RevmInfo;

/// To a type of revm.
pub trait ToRevm {
    /// revm's type.
    type Revm;

    /// The same value for revm.
    fn to_revm(&self) -> Self::Revm;
}

/// From a type of revm.
pub trait FromRevm<T>: Sized {
    /// The same value from revm.
    fn from_revm(value: T) -> Self;
}

impl ToRevm for AccountInfo {
    type Revm = RevmInfo;
    fn to_revm(&self) -> RevmInfo {
        RevmInfo {
            balance: convert::word(self.balance),
            nonce: self.nonce,
            code_hash: convert::hash(self.code_hash),
            account_id: None,
            code: None,
        }
    }
}

impl FromRevm<&RevmInfo> for AccountInfo {
    fn from_revm(info: &RevmInfo) -> Self {
        let code_hash = convert::hash_back(info.code_hash);
        Self {
            nonce: info.nonce,
            balance: convert::word_back(info.balance),
            // Old databases write zero for no code.
            code_hash: if code_hash.is_zero() { KECCAK_EMPTY } else { code_hash },
        }
    }
}

/// `None` where revm has no such fork, or its fees are too narrow.
impl ToRevm for Environment {
    type Revm = Option<(CfgEnv, BlockEnv)>;
    fn to_revm(&self) -> Option<(CfgEnv, BlockEnv)> {
        convert::configuration(self)
    }
}

/// revm's transaction; fees wider than revm's are the widest. revm checks the nonce unless its configuration says otherwise.
impl ToRevm for Call {
    type Revm = TxEnv;
    fn to_revm(&self) -> TxEnv {
        convert::transaction(&self.transaction(u64::MAX, Fork::Osaka, 0)).0
    }
}

impl FromRevm<TxEnv> for Call {
    /// A call, without the rules of transactions.
    fn from_revm(transaction: TxEnv) -> Self {
        // An authority that was recovered before has no signature to check again.
        let authorization = |tuple| match tuple {
            Either::Left(tuple) => Some(signed(&tuple)),
            Either::Right(_) => None,
        };
        Self {
            from: convert::address_back(transaction.caller),
            to: match transaction.kind {
                TxKind::Create => None,
                TxKind::Call(to) => Some(convert::address_back(to)),
            },
            gas: Some(transaction.gas_limit),
            max_fee_per_gas: Some(transaction.gas_price.into()),
            max_priority_fee_per_gas: Some(transaction.gas_priority_fee.unwrap_or(transaction.gas_price).into()),
            value: convert::word_back(transaction.value),
            input: transaction.data.0,
            nonce: Some(transaction.nonce),
            access_list: transaction
                .access_list
                .0
                .into_iter()
                .map(|item| AccessListItem {
                    address: convert::address_back(item.address),
                    storage_keys: item.storage_keys.iter().map(|key| U256::from_big_endian(&key.0)).collect(),
                })
                .collect(),
            max_fee_per_blob_gas: (transaction.max_fee_per_blob_gas > 0)
                .then(|| transaction.max_fee_per_blob_gas.into()),
            blob_versioned_hashes: transaction.blob_hashes.into_iter().map(|hash| H256(hash.0)).collect(),
            authorization_list: transaction.authorization_list.into_iter().filter_map(authorization).collect(),
            chain_id: transaction.chain_id,
            transaction_type: None,
            validation: Validation::Call,
        }
    }
}

fn signed(tuple: &SignedAuthorization) -> Authorization {
    Authorization {
        chain_id: convert::word_back(tuple.chain_id),
        address: convert::address_back(tuple.address),
        nonce: tuple.nonce,
        y_parity: tuple.y_parity().into(),
        r: convert::word_back(tuple.r()),
        s: convert::word_back(tuple.s()),
    }
}
