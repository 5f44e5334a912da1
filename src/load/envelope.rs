//! JSON-RPC transactions back into what was signed: the envelope, its hash and its sender, all checked.

use super::json_rpc::RpcTransaction;
use super::transaction::{Signature, SignedTransaction};
use super::typed::InputError;
use isolane_spec::{Fork, H160, Transaction, TransactionType};

/// Rebuilds the envelope, and verifies that its hash is the given one and that its signature recovers to the given
/// sender. The sender is set in the result.
///
/// # Errors
/// When a field is missing or too large, or a check fails; the error's place is the field.
pub fn prepare(rpc: &RpcTransaction, chain_id: u64, fork: Fork) -> Result<SignedTransaction, InputError> {
    let transaction_type = match rpc.transaction_type.map_or(0, |value| value.0) {
        0 => TransactionType::Legacy,
        1 => TransactionType::AccessList,
        2 => TransactionType::DynamicFee,
        3 => TransactionType::Blob,
        4 => TransactionType::SetCode,
        other => return Err(InputError::at("type", format!("expected a transaction type from 0 to 4, got {other}"))),
    };
    let (odd_y, signed_chain) = parity(rpc, transaction_type)?;
    if let Some(signed) = signed_chain
        && signed != chain_id
    {
        return Err(InputError::at("chainId", format!("expected the block's chain {chain_id}, got {signed}")));
    }
    let content = content(rpc, transaction_type, signed_chain)?;
    let mut signed = SignedTransaction::new(content, Signature { r: rpc.r.0, s: rpc.s.0, odd_y });
    if signed.hash != rpc.hash.0 {
        let problem = format!("expected the hash of the signed transaction, {:?}, got {:?}", signed.hash, rpc.hash.0);
        return Err(InputError::at("hash", problem + ": a field of the transaction is wrong"));
    }
    let sender =
        signed.recover_sender(fork).map_err(|error| InputError::at("", format!("{error}: the signature is wrong")))?;
    if sender != rpc.from.0 {
        let problem = format!("expected the signature's sender {sender:?}, got {:?}", rpc.from.0);
        return Err(InputError::at("from", problem));
    }
    signed.transaction.sender = sender;
    Ok(signed)
}

fn content(
    rpc: &RpcTransaction,
    transaction_type: TransactionType,
    chain_id: Option<u64>,
) -> Result<Transaction, InputError> {
    let need = |field: &'static str| {
        let problem = format!("expected it in a transaction of type {}, got nothing", transaction_type as u8);
        move || InputError::at(field, problem)
    };
    let (max_fee_per_gas, max_priority_fee_per_gas) = if transaction_type < TransactionType::DynamicFee {
        let price = rpc.gas_price.ok_or_else(need("gasPrice"))?.0;
        (price, price)
    } else {
        let tip = rpc.max_priority_fee_per_gas.ok_or_else(need("maxPriorityFeePerGas"))?;
        (rpc.max_fee_per_gas.ok_or_else(need("maxFeePerGas"))?.0, tip.0)
    };
    let mut transaction = Transaction {
        transaction_type,
        sender: H160::zero(),
        nonce: rpc.nonce.0,
        gas_limit: rpc.gas.0,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to: rpc.to.map(|to| to.0),
        value: rpc.value.0,
        input: rpc.input.0.clone(),
        chain_id,
        ..Transaction::default()
    };
    if transaction_type >= TransactionType::AccessList {
        let list = rpc.access_list.as_ref().ok_or_else(need("accessList"))?;
        transaction.access_list = list.iter().map(Into::into).collect();
    }
    if transaction_type >= TransactionType::Blob && transaction.to.is_none() {
        return Err(need("to")());
    }
    if transaction_type == TransactionType::Blob {
        let hashes = rpc.blob_versioned_hashes.as_ref().ok_or_else(need("blobVersionedHashes"))?;
        transaction.blob_versioned_hashes = hashes.iter().map(|hash| hash.0).collect();
        transaction.max_fee_per_blob_gas = rpc.max_fee_per_blob_gas.ok_or_else(need("maxFeePerBlobGas"))?.0;
    }
    if transaction_type == TransactionType::SetCode {
        let list = rpc.authorization_list.as_ref().ok_or_else(need("authorizationList"))?;
        transaction.authorization_list = list.iter().map(Into::into).collect();
    }
    Ok(transaction)
}

/// The parity of the signature, and the chain that it is bound to.
fn parity(rpc: &RpcTransaction, transaction_type: TransactionType) -> Result<(bool, Option<u64>), InputError> {
    if transaction_type != TransactionType::Legacy {
        let value = match (rpc.y_parity, rpc.v) {
            (Some(parity), Some(v)) if parity != v => {
                return Err(InputError::at("v", format!("expected yParity {}, got {}", parity.0, v.0)));
            }
            (Some(value), _) | (None, Some(value)) => value.0,
            (None, None) => return Err(InputError::at("yParity", "expected 0 or 1, got nothing")),
        };
        let chain_id = rpc.chain_id.ok_or_else(|| InputError::at("chainId", "expected a chain id, got nothing"))?;
        return match value {
            0 | 1 => Ok((value == 1, Some(chain_id.0))),
            _ => Err(InputError::at("yParity", format!("expected 0 or 1, got {value}"))),
        };
    }
    let v = rpc.v.ok_or_else(|| InputError::at("v", "expected 27, 28 or at least 35 (EIP-155), got nothing"))?.0;
    let (parity, chain) = match v {
        27 | 28 => (v == 28, None),
        35.. => ((v - 35) % 2 == 1, Some((v - 35) / 2)),
        _ => return Err(InputError::at("v", format!("expected 27, 28 or at least 35 (EIP-155), got {v}"))),
    };
    if let (Some(given), Some(signed)) = (rpc.chain_id, chain)
        && given.0 != signed
    {
        return Err(InputError::at("chainId", format!("expected the signature's chain {signed}, got {}", given.0)));
    }
    Ok((parity, chain))
}
