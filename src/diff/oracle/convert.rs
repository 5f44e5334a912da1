//! Between isolane's vocabulary and revm's.

use isolane_spec::{
    self as spec, Environment, Fork, H160, H256, Halt, InvalidTransaction, Transaction, TransactionType,
};
use revm::bytecode::Bytecode;
use revm::context::either::Either;
use revm::context::result::{HaltReason, InvalidTransaction as RevmInvalid};
use revm::context::transaction::{
    AccessList, AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization, SignedAuthorization,
};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, TxKind, U256};

/// A word for revm.
#[must_use]
pub fn word(value: spec::U256) -> U256 {
    U256::from_limbs(value.0)
}

/// A word from revm.
#[must_use]
pub fn word_back(value: U256) -> spec::U256 {
    spec::U256(*value.as_limbs())
}

/// An address for revm.
#[must_use]
pub fn address(value: H160) -> Address {
    Address::from(value.0)
}

/// An address from revm.
#[must_use]
pub fn address_back(value: Address) -> H160 {
    H160(value.into())
}

/// A hash for revm.
#[must_use]
pub fn hash(value: H256) -> B256 {
    B256::from(value.0)
}

/// A hash from revm.
#[must_use]
pub fn hash_back(value: B256) -> H256 {
    H256(value.0)
}

/// Analysed code. A contract from before EIP-3541 may start with the delegation's magic and be none.
#[must_use]
pub fn bytecode(raw: &spec::Bytes, fork: Fork) -> Bytecode {
    if fork < Fork::Prague {
        return Bytecode::new_legacy(Bytes(raw.clone()));
    }
    let raw = Bytes(raw.clone());
    Bytecode::new_raw_checked(raw.clone()).unwrap_or_else(|_| Bytecode::new_legacy(raw))
}

/// revm's name of a fork; `None` where revm does not implement it.
#[must_use]
pub fn spec_id(fork: Fork) -> Option<SpecId> {
    Some(match fork {
        Fork::Frontier => SpecId::FRONTIER,
        Fork::Homestead | Fork::Dao => SpecId::HOMESTEAD,
        Fork::TangerineWhistle => SpecId::TANGERINE,
        Fork::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
        Fork::Byzantium => SpecId::BYZANTIUM,
        // EIP-1283 never ran on mainnet, and revm left it out.
        Fork::Constantinople => return None,
        Fork::Petersburg => SpecId::PETERSBURG,
        Fork::Istanbul | Fork::MuirGlacier => SpecId::ISTANBUL,
        Fork::Berlin => SpecId::BERLIN,
        Fork::London | Fork::ArrowGlacier | Fork::GrayGlacier => SpecId::LONDON,
        Fork::Paris => SpecId::MERGE,
        Fork::Shanghai => SpecId::SHANGHAI,
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka | Fork::Bpo1 | Fork::Bpo2 | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5 => SpecId::OSAKA,
        // Still a draft: revm implements another day's than the official fixtures.
        Fork::Amsterdam => return None,
    })
}

/// revm's configuration and block; `None` where revm cannot hold the environment (its base fee is 64 bits wide).
#[must_use]
pub fn configuration(environment: &Environment) -> Option<(CfgEnv, BlockEnv)> {
    let rules = &environment.rules;
    let block = &environment.block;
    let spec = spec_id(rules.fork)?;
    let mut cfg = CfgEnv::new_with_spec(spec).with_chain_id(rules.chain_id);
    if rules.fork >= Fork::Cancun {
        // EIP-7594 caps the blobs of one transaction below those of the block.
        let per_transaction = if rules.fork >= Fork::Osaka { 6 } else { rules.blob_schedule.max };
        cfg.set_max_blobs_per_tx(per_transaction);
        cfg.blob_base_fee_update_fraction = Some(rules.blob_schedule.base_fee_update_fraction);
    }
    let block = BlockEnv {
        number: U256::from(block.number),
        beneficiary: address(block.coinbase),
        timestamp: U256::from(block.timestamp),
        gas_limit: block.gas_limit,
        basefee: word(block.base_fee).try_into().ok()?,
        difficulty: word(block.difficulty),
        prevrandao: (rules.fork >= Fork::Paris).then(|| hash(block.prev_randao)),
        blob_excess_gas_and_price: if rules.fork >= Fork::Cancun {
            // revm reads the price alone once it is given.
            Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: word(block.blob_base_fee).try_into().ok()?,
            })
        } else {
            None
        },
        slot_num: block.slot_number,
    };
    Some((cfg, block))
}

/// revm's transaction. The flag says that a fee was wider than revm's 128 bits and was cut to the largest: such a
/// transaction must be rejected, no account can pay for it.
#[must_use]
pub fn transaction(transaction: &Transaction) -> (TxEnv, bool) {
    let mut cut = false;
    let mut fee = |value: spec::U256| {
        word(value).try_into().unwrap_or_else(|_| {
            cut = true;
            u128::MAX
        })
    };
    let kind = transaction.transaction_type;
    let env = TxEnv {
        tx_type: kind as u8,
        caller: address(transaction.sender),
        gas_limit: transaction.gas_limit,
        gas_price: fee(transaction.max_fee_per_gas),
        kind: transaction.to.map_or(TxKind::Create, |to| TxKind::Call(address(to))),
        value: word(transaction.value),
        data: Bytes(transaction.input.clone()),
        nonce: transaction.nonce,
        chain_id: transaction.chain_id,
        access_list: AccessList(
            transaction
                .access_list
                .iter()
                .map(|item| AccessListItem {
                    address: address(item.address),
                    storage_keys: item.storage_keys.iter().map(|key| B256::from(key.to_big_endian())).collect(),
                })
                .collect(),
        ),
        gas_priority_fee: (kind >= TransactionType::DynamicFee).then(|| fee(transaction.max_priority_fee_per_gas)),
        blob_hashes: transaction.blob_versioned_hashes.iter().map(|hash| B256::from(hash.0)).collect(),
        max_fee_per_blob_gas: fee(transaction.max_fee_per_blob_gas),
        authorization_list: transaction.authorization_list.iter().map(authorization).collect(),
    };
    (env, cut)
}

/// revm's authorization; without an authority where revm cannot hold what was signed.
#[must_use]
pub fn authorization(tuple: &spec::Authorization) -> Either<SignedAuthorization, RecoveredAuthorization> {
    let inner = Authorization { chain_id: word(tuple.chain_id), address: address(tuple.address), nonce: tuple.nonce };
    match u8::try_from(tuple.y_parity) {
        Ok(parity) => Either::Left(SignedAuthorization::new_unchecked(inner, parity, word(tuple.r), word(tuple.s))),
        Err(_) => Either::Right(RecoveredAuthorization::new_unchecked(inner, RecoveredAuthority::Invalid)),
    }
}

/// Why no such transaction can be encoded, so that revm leaves it to the decoder (EIP-4844, EIP-7702).
#[must_use]
pub fn refused_by_its_form(transaction: &Transaction) -> Option<InvalidTransaction> {
    let kind = transaction.transaction_type;
    let no_creation = matches!(kind, TransactionType::Blob | TransactionType::SetCode);
    (no_creation && transaction.to.is_none()).then_some(InvalidTransaction::CreateNotAllowed(kind))
}

/// The reason of a halt.
#[must_use]
pub fn halt(reason: &HaltReason) -> Halt {
    match reason {
        HaltReason::OutOfGas(_) => Halt::OutOfGas,
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => Halt::UndefinedOpcode,
        HaltReason::InvalidFEOpcode => Halt::InvalidOpcode,
        HaltReason::InvalidJump => Halt::InvalidJump,
        HaltReason::StackUnderflow => Halt::StackUnderflow,
        HaltReason::StackOverflow => Halt::StackOverflow,
        HaltReason::OutOfOffset => Halt::ReturnDataOutOfBounds,
        HaltReason::CreateCollision => Halt::CreateCollision,
        HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) => Halt::PrecompileFailure,
        HaltReason::CreateContractSizeLimit => Halt::CodeTooLarge,
        HaltReason::CreateContractStartingWithEF => Halt::CodeStartsWithEf,
        HaltReason::CreateInitCodeSizeLimit => Halt::InitcodeTooLarge,
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => Halt::StaticViolation,
        HaltReason::NonceOverflow | HaltReason::OverflowPayment | HaltReason::OutOfFunds | HaltReason::CallTooDeep => {
            Halt::CallRefused
        }
    }
}

/// The rule of isolane's that revm's reason names; `None` for reasons that no transaction here can meet.
#[must_use]
pub fn rejection(reason: &RevmInvalid, transaction: &Transaction) -> Option<InvalidTransaction> {
    let narrow = |value: &U256| word_back(*value);
    Some(match reason {
        RevmInvalid::PriorityFeeGreaterThanMaxFee => InvalidTransaction::PriorityFeeAboveFeeCap,
        RevmInvalid::GasPriceLessThanBasefee => {
            InvalidTransaction::FeeCapBelowBaseFee { base_fee: spec::U256::zero(), got: transaction.max_fee_per_gas }
        }
        RevmInvalid::CallerGasLimitMoreThanBlock => {
            InvalidTransaction::BlockGasLimitExceeded { available: 0, got: transaction.gas_limit }
        }
        RevmInvalid::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            InvalidTransaction::IntrinsicGasTooLow { required: *initial_gas, got: *gas_limit }
        }
        RevmInvalid::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            InvalidTransaction::FloorGasTooLow { required: *gas_floor, got: *gas_limit }
        }
        RevmInvalid::RejectCallerWithCode => InvalidTransaction::SenderHasCode,
        RevmInvalid::LackOfFundForMaxFee { fee, balance } => {
            InvalidTransaction::InsufficientFunds { required: narrow(fee), got: narrow(balance) }
        }
        RevmInvalid::OverflowPaymentInTransaction => InvalidTransaction::CostOverflow,
        RevmInvalid::NonceOverflowInTransaction => InvalidTransaction::NonceOverflow,
        RevmInvalid::NonceTooHigh { tx, state } => InvalidTransaction::NonceTooHigh { expected: *state, got: *tx },
        RevmInvalid::NonceTooLow { tx, state } => InvalidTransaction::NonceTooLow { expected: *state, got: *tx },
        RevmInvalid::CreateInitCodeSizeLimit => {
            InvalidTransaction::InitcodeTooLarge { limit: 0, got: transaction.input.len() }
        }
        RevmInvalid::InvalidChainId | RevmInvalid::MissingChainId => {
            InvalidTransaction::WrongChainId { expected: 0, got: transaction.chain_id.unwrap_or_default() }
        }
        RevmInvalid::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            InvalidTransaction::GasLimitAboveCap { cap: *cap, got: *gas_limit }
        }
        RevmInvalid::BlobGasPriceGreaterThanMax { block_blob_gas_price, .. } => {
            InvalidTransaction::BlobFeeCapBelowBaseFee {
                blob_base_fee: spec::U256::from(*block_blob_gas_price),
                got: transaction.max_fee_per_blob_gas,
            }
        }
        RevmInvalid::EmptyBlobs => InvalidTransaction::NoBlobs,
        RevmInvalid::BlobCreateTransaction => InvalidTransaction::CreateNotAllowed(TransactionType::Blob),
        RevmInvalid::TooManyBlobs { max, have } => {
            InvalidTransaction::TooManyBlobs { limit: *max as u64, got: *have as u64 }
        }
        RevmInvalid::BlobVersionNotSupported => InvalidTransaction::BlobVersion { index: 0 },
        RevmInvalid::AuthorizationListInvalidFields => InvalidTransaction::CreateNotAllowed(TransactionType::SetCode),
        RevmInvalid::EmptyAuthorizationList => InvalidTransaction::NoAuthorizations,
        RevmInvalid::AccessListNotSupported
        | RevmInvalid::MaxFeePerBlobGasNotSupported
        | RevmInvalid::BlobVersionedHashesNotSupported
        | RevmInvalid::AuthorizationListNotSupported
        | RevmInvalid::Eip2930NotSupported
        | RevmInvalid::Eip1559NotSupported
        | RevmInvalid::Eip4844NotSupported
        | RevmInvalid::Eip7702NotSupported => InvalidTransaction::UnsupportedType(transaction.transaction_type),
        RevmInvalid::Eip7873NotSupported | RevmInvalid::Eip7873MissingTarget | RevmInvalid::Str(_) => return None,
    })
}
