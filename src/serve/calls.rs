//! Calls as they come, and what is answered to them.

use super::jsonrpc::{Answer, Failure, REVERTED, hex_text};
use super::params::{BlockOverrideArgs, CallArgs, StateOverrideArgs};
use crate::executor::{AccountOverride, BlockOverrides, Call, ExecutorError, RevertReason, Snapshot, StateOverrides};
use crate::load::typed::Hex;
use isolane_spec::{Bytes, ExecutionError, H160, Halt, InvalidTransaction, Status, U256, word};

/// The gas of a call that names none, and the most of any (geth's `--rpc.gascap`).
pub const GAS_CAP: u64 = 50_000_000;

/// The call that the arguments describe.
///
/// # Errors
/// When they contradict each other.
pub fn call(mut args: CallArgs, chain_id: u64) -> Result<Call, Failure> {
    args.check()?;
    if let Some(Hex(got)) = args.chain_id
        && got != chain_id
    {
        return Err(Failure::params(format!("chainId does not match node's (have={got}, want={chain_id})")));
    }
    let input = args.take_input()?;
    let fee = |fee: Option<Hex<U256>>| fee.map(|fee| fee.0);
    let (max_fee, tip) = match args.gas_price {
        Some(Hex(price)) => (Some(price), Some(price)),
        // A tip without a cap is capped by itself, as a node that fills in the rest would at least do.
        None => (fee(args.max_fee_per_gas.or(args.max_priority_fee_per_gas)), fee(args.max_priority_fee_per_gas)),
    };
    if args.to.is_none() && args.authorization_list.is_some() {
        return Err(Failure::params("EIP-7702 transaction cannot be used to create contract"));
    }
    if args.to.is_none() && args.blob_versioned_hashes.is_some() {
        return Err(Failure::params("missing \"to\" in blob transaction"));
    }
    Ok(Call {
        from: args.from.map_or_else(H160::zero, |from| from.0),
        to: args.to.map(|to| to.0),
        gas: args.gas.map(|gas| gas.0),
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: tip,
        value: fee(args.value).unwrap_or_default(),
        input,
        nonce: args.nonce.map(|nonce| nonce.0),
        access_list: args.access_list.unwrap_or_default().iter().map(Into::into).collect(),
        blob_versioned_hashes: args.blob_versioned_hashes.unwrap_or_default().into_iter().map(|hash| hash.0).collect(),
        max_fee_per_blob_gas: fee(args.max_fee_per_blob_gas),
        authorization_list: args.authorization_list.unwrap_or_default().iter().map(Into::into).collect(),
        ..Call::default()
    })
}

/// A snapshot with the overrides of a request.
///
/// # Errors
/// When they contradict each other.
pub fn overridden(
    snapshot: Snapshot,
    state: Option<StateOverrideArgs>,
    block: Option<&BlockOverrideArgs>,
) -> Result<Snapshot, Failure> {
    let snapshot = match block {
        Some(block) => snapshot.with_block_overrides(&block_overrides(block)),
        None => snapshot,
    };
    match state {
        Some(state) if !state.0.is_empty() => {
            let overrides = state_overrides(state);
            snapshot.with_overrides(&overrides).map_err(|error| Failure::params(format!("state overrides: {error}")))
        }
        _ => Ok(snapshot),
    }
}

fn state_overrides(state: StateOverrideArgs) -> StateOverrides {
    let slots = |list: crate::load::typed::Entries<U256, Hex<U256>>| -> Vec<(U256, U256)> {
        list.0.into_iter().map(|(key, value)| (key, value.0)).collect()
    };
    let account = |(address, account): (H160, super::params::AccountOverrideArgs)| {
        let account = AccountOverride {
            balance: account.balance.map(|balance| balance.0),
            nonce: account.nonce.map(|nonce| nonce.0),
            code: account.code.map(|code| code.0),
            state: account.state.map(slots),
            state_diff: account.state_diff.map(slots).unwrap_or_default(),
            move_precompile_to: account.move_precompile_to_address.map(|to| to.0),
        };
        (address, account)
    };
    state.0.into_iter().map(account).collect()
}

/// The overrides of a block.
#[must_use]
pub fn block_overrides(block: &BlockOverrideArgs) -> BlockOverrides {
    let word = |word: Option<Hex<U256>>| word.map(|word| word.0);
    BlockOverrides {
        number: block.number.map(|number| number.0),
        time: block.time.map(|time| time.0),
        gas_limit: block.gas_limit.map(|gas| gas.0),
        coinbase: block.fee_recipient.map(|to| to.0),
        difficulty: word(block.difficulty),
        prev_randao: word(block.prev_randao).map(|word| word::to_hash(&word)),
        base_fee: word(block.base_fee_per_gas),
        blob_base_fee: word(block.blob_base_fee),
        block_hashes: block
            .block_hash
            .iter()
            .flat_map(|list| &list.0)
            .map(|(number, hash)| (*number, hash.0))
            .collect(),
    }
}

/// The answer to `eth_call`.
pub fn call_answer(status: &Status, output: &Bytes, call: &Sent) -> Answer {
    match failure(status, output, call) {
        None => Ok(hex_text(output)),
        Some(failure) => Err(failure),
    }
}

/// What an error tells of a call.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its sender.
    pub from: H160,
    /// The gas that it was given.
    pub gas: u64,
}

/// Why a call failed, in geth's words; `None` where it did not.
#[must_use]
pub fn failure(status: &Status, output: &Bytes, sent: &Sent) -> Option<Failure> {
    Some(match status {
        Status::Success => return None,
        Status::Revert => reverted(output),
        Status::Halt(halt) => Failure::server(halt_text(*halt)),
        Status::Rejected(reason) => {
            Failure::server(format!("err: {} (supplied gas {})", rejection(reason, sent), sent.gas))
        }
    })
}

/// The error of an execution that reverted.
#[must_use]
pub fn reverted(output: &Bytes) -> Failure {
    let mut message = "execution reverted".to_owned();
    match RevertReason::decode(output) {
        RevertReason::Error(text) => message += &format!(": {text}"),
        RevertReason::Panic(code) => message += &format!(": {}", panic_text(code)),
        _ => {}
    }
    Failure { data: Some(hex_text(output)), ..Failure::new(REVERTED, message) }
}

/// What Solidity's panics are about, as geth writes them.
fn panic_text(code: U256) -> String {
    let text = match code.low_u64() {
        _ if code > U256::from(0x51) => "",
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => "",
    };
    if text.is_empty() { format!("unknown panic code: {code:#x}") } else { text.to_owned() }
}

/// A halt in geth's words.
#[must_use]
pub fn halt_text(halt: Halt) -> String {
    match halt {
        Halt::StackUnderflow => "stack underflow".to_owned(),
        Halt::StackOverflow => "stack limit reached 1024".to_owned(),
        Halt::InvalidOpcode => "invalid opcode: INVALID".to_owned(),
        Halt::UndefinedOpcode => "invalid opcode".to_owned(),
        Halt::StaticViolation => "write protection".to_owned(),
        Halt::CreateCollision => "contract address collision".to_owned(),
        Halt::CodeTooLarge => "max code size exceeded".to_owned(),
        Halt::CodeStartsWithEf => "invalid code: must not begin with 0xef".to_owned(),
        Halt::InitcodeTooLarge => "max initcode size exceeded".to_owned(),
        Halt::BudgetExceeded { .. } => format!("{halt}: the budget of this API key ends there"),
        Halt::Denied { .. } => format!("{halt}: this API key does not permit it"),
        other => other.to_string(),
    }
}

/// Why a call is no valid one, in geth's words.
#[must_use]
pub fn rejection(reason: &InvalidTransaction, sent: &Sent) -> String {
    use InvalidTransaction as Invalid;
    match reason {
        Invalid::InsufficientFunds { required, got } => {
            format!("insufficient funds for gas * price + value: address {:?} have {got} want {required}", sent.from)
        }
        Invalid::IntrinsicGasTooLow { required, got } => {
            format!("intrinsic gas too low: have {got}, want {required}")
        }
        Invalid::FloorGasTooLow { required, got } => {
            format!("insufficient gas for floor data gas cost: have {got}, want {required}")
        }
        Invalid::FeeCapBelowBaseFee { base_fee, got } => format!(
            "max fee per gas less than block base fee: address {:?}, maxFeePerGas: {got}, baseFee: {base_fee}",
            sent.from
        ),
        Invalid::InitcodeTooLarge { limit, got } => {
            format!("max initcode size exceeded: code size {got} limit {limit}")
        }
        other => other.to_string(),
    }
}

/// The error of a call of which there is no outcome.
#[must_use]
pub fn unanswered(error: &ExecutorError) -> Failure {
    match error {
        ExecutorError::Execution(ExecutionError::Panic(text)) => Failure::internal(text),
        other => Failure::server(format!("state not available: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent = Sent { from: H160([0xcd; 20]), gas: 100 };

    #[test]
    fn failures_are_told_in_the_words_of_nodes() {
        let word = |number: u64| U256::from(number).to_big_endian();
        let panic = [&[0x4e, 0x48, 0x7b, 0x71][..], &word(0x11)].concat();
        let mut text = [0; 32];
        text[..2].copy_from_slice(b"hi");
        let error = [&[0x08, 0xc3, 0x79, 0xa0][..], &word(32), &word(2), &text].concat();
        let failed =
            |status, output: &[u8]| failure(&status, &Bytes::copy_from_slice(output), &SENT).expect("a failure");
        assert_eq!(failure(&Status::Success, &Bytes::new(), &SENT), None);
        assert_eq!(failed(Status::Revert, &panic).message, "execution reverted: arithmetic underflow or overflow");
        let failure = failed(Status::Revert, &error);
        assert_eq!((failure.code, failure.message.as_str()), (3, "execution reverted: hi"));
        assert_eq!(failure.data, Some(hex_text(&error)));
        let custom = failed(Status::Revert, &[0xde, 0xad, 0xbe, 0xef]);
        assert_eq!((custom.message.as_str(), custom.data.as_deref()), ("execution reverted", Some("\"0xdeadbeef\"")));
        let halted = failed(Status::Halt(Halt::OutOfGas), &[]);
        assert_eq!((halted.code, halted.message.as_str(), halted.data), (-32000, "out of gas", None));
        let poor = InvalidTransaction::InsufficientFunds { required: 2.into(), got: 1.into() };
        let address = format!("{:?}", SENT.from);
        let expected = format!(
            "err: insufficient funds for gas * price + value: address {address} have 1 want 2 (supplied gas 100)"
        );
        assert_eq!(failed(Status::Rejected(poor), &[]).message, expected);
    }

    #[test]
    fn arguments_become_calls() {
        let args = |text: &str| serde_json::from_str::<CallArgs>(text).expect("arguments");
        let one = call(args("{\"gasPrice\":\"0x5\",\"data\":\"0x01\"}"), 1).expect("a call");
        assert_eq!((one.max_fee_per_gas, one.max_priority_fee_per_gas), (Some(5.into()), Some(5.into())));
        assert_eq!((one.from, one.to, one.input.as_ref()), (H160::zero(), None, &[1][..]));
        assert!(call(args("{\"chainId\":\"0x2\"}"), 1).is_err());
        assert!(call(args("{\"authorizationList\":[]}"), 1).is_err());
    }
}
