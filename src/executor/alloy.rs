//! Between isolane's types and alloy's (feature `alloy`).

use super::{Call, RevertReason};
use crate::convert;
use alloy_eips::eip2930::{AccessList, AccessListItem as AlloyItem};
use alloy_eips::eip7702::{Authorization as AlloyAuthorization, SignedAuthorization};
use alloy_primitives::{self as primitives, Address, B256, LogData, TxKind};
use isolane_spec::{AccessListItem, Authorization, Bytes, H160, H256, Log, TransactionType, U256, Validation, word};

/// To a type of alloy.
pub trait ToAlloy {
    /// alloy's type.
    type Alloy;

    /// The same value for alloy.
    fn to_alloy(&self) -> Self::Alloy;
}

/// From a type of alloy.
pub trait FromAlloy<T>: Sized {
    /// The same value from alloy.
    fn from_alloy(value: T) -> Self;
}

/// Types between which there is a function each way.
macro_rules! both_ways {
    ($($ours:ty, $theirs:ty, $to:path, $from:path;)*) => {$(
        impl ToAlloy for $ours {
            type Alloy = $theirs;
            fn to_alloy(&self) -> $theirs {
                $to(*self)
            }
        }
        impl FromAlloy<$theirs> for $ours {
            fn from_alloy(value: $theirs) -> Self {
                $from(value)
            }
        }
    )*};
}

both_ways! {
    H160, Address, convert::to_address, convert::from_address;
    H256, B256, convert::to_b256, convert::from_b256;
    U256, primitives::U256, convert::to_word, convert::from_word;
}

impl ToAlloy for Bytes {
    type Alloy = primitives::Bytes;
    fn to_alloy(&self) -> primitives::Bytes {
        primitives::Bytes(self.clone())
    }
}

impl FromAlloy<primitives::Bytes> for Bytes {
    fn from_alloy(value: primitives::Bytes) -> Self {
        value.0
    }
}

impl ToAlloy for Log {
    type Alloy = primitives::Log;
    fn to_alloy(&self) -> primitives::Log {
        let topics = self.topics.iter().map(ToAlloy::to_alloy).collect();
        primitives::Log { address: self.address.to_alloy(), data: LogData::new_unchecked(topics, self.data.to_alloy()) }
    }
}

impl FromAlloy<primitives::Log> for Log {
    fn from_alloy(log: primitives::Log) -> Self {
        let topics = log.topics().iter().map(|topic| H256::from_alloy(*topic)).collect();
        Self { address: H160::from_alloy(log.address), topics, data: log.data.data.0 }
    }
}

impl ToAlloy for [AccessListItem] {
    type Alloy = AccessList;
    fn to_alloy(&self) -> AccessList {
        let item = |item: &AccessListItem| AlloyItem {
            address: item.address.to_alloy(),
            storage_keys: item.storage_keys.iter().map(|key| B256::new(word::to_be(key))).collect(),
        };
        AccessList(self.iter().map(item).collect())
    }
}

impl FromAlloy<AccessList> for Vec<AccessListItem> {
    fn from_alloy(list: AccessList) -> Self {
        let item = |item: AlloyItem| AccessListItem {
            address: H160::from_alloy(item.address),
            storage_keys: item.storage_keys.iter().map(|key| U256::from_big_endian(&key.0)).collect(),
        };
        list.0.into_iter().map(item).collect()
    }
}

impl FromAlloy<SignedAuthorization> for Authorization {
    fn from_alloy(signed: SignedAuthorization) -> Self {
        Self {
            chain_id: U256::from_alloy(signed.chain_id),
            address: H160::from_alloy(signed.address),
            nonce: signed.nonce,
            y_parity: signed.y_parity().into(),
            r: U256::from_alloy(signed.r()),
            s: U256::from_alloy(signed.s()),
        }
    }
}

/// Not every tuple of isolane's can be one of alloy's: parities above 255, which no check lets pass, cannot.
impl ToAlloy for Authorization {
    type Alloy = Option<SignedAuthorization>;
    fn to_alloy(&self) -> Option<SignedAuthorization> {
        let inner = AlloyAuthorization {
            chain_id: self.chain_id.to_alloy(),
            address: self.address.to_alloy(),
            nonce: self.nonce,
        };
        let parity = u8::try_from(self.y_parity).ok()?;
        Some(SignedAuthorization::new_unchecked(inner, parity, self.r.to_alloy(), self.s.to_alloy()))
    }
}

impl Call {
    /// A transaction of any of alloy's types, as a call that keeps all of its rules.
    #[must_use]
    pub fn from_alloy_transaction(transaction: &impl alloy_consensus::Transaction, from: Address) -> Self {
        let transaction_type = match transaction.ty() {
            0 => Some(TransactionType::Legacy),
            1 => Some(TransactionType::AccessList),
            2 => Some(TransactionType::DynamicFee),
            3 => Some(TransactionType::Blob),
            4 => Some(TransactionType::SetCode),
            _ => None,
        };
        let cap = transaction.max_fee_per_gas();
        Self {
            from: H160::from_alloy(from),
            to: match transaction.kind() {
                TxKind::Create => None,
                TxKind::Call(to) => Some(H160::from_alloy(to)),
            },
            gas: Some(transaction.gas_limit()),
            max_fee_per_gas: Some(cap.into()),
            max_priority_fee_per_gas: Some(transaction.max_priority_fee_per_gas().unwrap_or(cap).into()),
            value: U256::from_alloy(transaction.value()),
            input: transaction.input().0.clone(),
            nonce: Some(transaction.nonce()),
            access_list: transaction.access_list().cloned().map(FromAlloy::from_alloy).unwrap_or_default(),
            blob_versioned_hashes: transaction
                .blob_versioned_hashes()
                .unwrap_or_default()
                .iter()
                .map(|hash| H256::from_alloy(*hash))
                .collect(),
            max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().map(Into::into),
            authorization_list: transaction
                .authorization_list()
                .unwrap_or_default()
                .iter()
                .cloned()
                .map(Authorization::from_alloy)
                .collect(),
            chain_id: transaction.chain_id(),
            transaction_type,
            validation: Validation::Full,
        }
    }
}

impl RevertReason {
    /// The error of the contract's own that it is, if it is one of that type.
    #[must_use]
    pub fn custom<E: alloy_sol_types::SolError>(&self) -> Option<E> {
        match self {
            Self::Custom(data) => E::abi_decode(data).ok(),
            _ => None,
        }
    }
}
