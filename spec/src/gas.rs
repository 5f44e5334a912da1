//! Gas schedules: one plain record per fork. A fork's schedule is the previous fork's plus its changes.

use crate::U256;
use crate::fork::Fork;
use crate::opcode::BY_BYTE;
use bytemuck::{Pod, Zeroable};

/// The static gas of an opcode, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GasClass {
    /// Free, or charged in the body.
    Zero,
    /// 1
    JumpDest,
    /// 2
    Base,
    /// 3
    VeryLow,
    /// 5
    Low,
    /// 8
    Mid,
    /// 10
    High,
    /// 20
    BlockHash,
    /// KECCAK256 without its words.
    Keccak,
    /// BALANCE of a warm account.
    Balance,
    /// EXTCODESIZE and EXTCODECOPY of a warm account.
    ExtCode,
    /// EXTCODEHASH of a warm account.
    ExtCodeHash,
    /// SLOAD of a warm slot.
    Sload,
    /// EIP-2929 warm access.
    WarmAccess,
    /// A call to a warm account without value.
    Call,
    /// CREATE and CREATE2 without initcode words.
    Create,
    /// SELFDESTRUCT to a warm account.
    SelfDestruct,
    /// LOG0 without data.
    Log0,
    /// LOG1 without data.
    Log1,
    /// LOG2 without data.
    Log2,
    /// LOG3 without data.
    Log3,
    /// LOG4 without data.
    Log4,
}

/// Number of SSTORE cases; see [`sstore_case`].
pub const SSTORE_CASES: usize = 9;

/// All numbers that gas depends on, for one fork. Plain bytes: the GPU is sent the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GasSchedule {
    /// BALANCE.
    pub balance: u32,
    /// EXTCODESIZE, EXTCODECOPY.
    pub ext_code: u32,
    /// EXTCODEHASH.
    pub ext_code_hash: u32,
    /// SLOAD.
    pub sload: u32,
    /// The CALL family.
    pub call: u32,
    /// SELFDESTRUCT.
    pub self_destruct: u32,
    /// Added for an account that is cold (EIP-2929).
    pub cold_account: u32,
    /// Added by SELFDESTRUCT for a beneficiary that is cold (EIP-2929).
    pub cold_beneficiary: u32,
    /// Added for a slot that is cold (EIP-2929).
    pub cold_slot: u32,
    /// EXP per byte of the exponent (EIP-160).
    pub exp_byte: u32,
    /// Keccak per word.
    pub keccak_word: u32,
    /// Copies per word.
    pub copy_word: u32,
    /// Logs per byte of data.
    pub log_byte: u32,
    /// Memory per word, the linear part.
    pub memory_word: u32,
    /// CALL with value.
    pub call_value: u32,
    /// Gas given to the callee of a call with value.
    pub call_stipend: u32,
    /// A call that brings an account into being.
    pub new_account: u32,
    /// SELFDESTRUCT that brings an account into being (EIP-150).
    pub self_destruct_new_account: u32,
    /// Refund of SELFDESTRUCT (removed by EIP-3529).
    pub self_destruct_refund: u32,
    /// CREATE.
    pub create: u32,
    /// Deployed code per byte.
    pub code_deposit_byte: u32,
    /// Deployed code per word, for its hash (EIP-8037).
    pub code_deposit_word: u32,
    /// Initcode per word (EIP-3860).
    pub initcode_word: u32,
    /// SSTORE by case.
    pub sstore: [u32; SSTORE_CASES],
    /// SSTORE's refund by case.
    pub sstore_refund: [i32; SSTORE_CASES],
    /// SSTORE fails with this much gas or less (EIP-2200); 0 = no such rule.
    pub sstore_sentry: u32,
    /// A transaction.
    pub transaction: u32,
    /// Added when it creates (EIP-2).
    pub transaction_create: u32,
    /// Per zero byte of its data.
    pub data_zero: u32,
    /// Per other byte of its data (EIP-2028).
    pub data_nonzero: u32,
    /// Floor per token of data (EIP-7623); 0 = no floor.
    pub data_floor_token: u32,
    /// Tokens of a zero byte of the data in the floor (EIP-7976); any other byte has 4.
    pub data_floor_zero: u32,
    /// Tokens of an address of the access list, paid at the floor's price and counted in the floor (EIP-7981).
    pub access_list_address_tokens: u32,
    /// Tokens of a slot of the access list, likewise.
    pub access_list_slot_tokens: u32,
    /// Per address of the access list.
    pub access_list_address: u32,
    /// Per slot of the access list.
    pub access_list_slot: u32,
    /// Per authorization (EIP-7702).
    pub authorization: u32,
    /// Refund of an authorization whose account exists.
    pub authorization_refund: u32,
    /// At most `1 / refund_quotient` of the gas used is refunded (EIP-3529).
    pub refund_quotient: u32,
    /// Longest code (EIP-170); `u32::MAX` = no limit.
    pub max_code_size: u32,
    /// Longest initcode (EIP-3860); `u32::MAX` = no limit.
    pub max_initcode_size: u32,
    /// Most gas of one transaction (EIP-7825), from EIP-8037 on most regular gas; `u32::MAX` = no limit.
    pub transaction_gas_cap: u32,
    /// Bytes of state that a new account is paid for as (EIP-8037); 0 = state has no gas of its own.
    pub state_bytes_account: u32,
    /// Bytes of state of a new storage slot, likewise.
    pub state_bytes_slot: u32,
    /// Bytes of state of a delegation, likewise.
    pub state_bytes_delegation: u32,
    /// Bytes of state of a byte of deployed code, likewise.
    pub state_bytes_code: u32,
}

/// The case of [`sstore_case`] that adds a slot.
pub const SSTORE_ADDED: usize = 1;
/// The case of [`sstore_case`] that first changes a slot that is not zero.
pub const SSTORE_MODIFIED: usize = 3;
/// The case of [`sstore_case`] that deletes a slot which the transaction added.
pub const SSTORE_ADDED_DELETED: usize = 7;
/// The case of [`sstore_case`] that gives a changed slot its value back.
pub const SSTORE_RESTORED: usize = 8;

/// The price of one byte of state (EIP-8037): what makes the state grow by 100 GiB a year if half of each block's gas
/// goes into it, rounded down to five significant bits.
#[must_use]
pub const fn state_gas_per_byte(block_gas_limit: u64) -> u64 {
    const BLOCKS_PER_YEAR: u128 = 2_628_000;
    const TARGET_GROWTH_PER_YEAR: u128 = 100 << 30;
    const SIGNIFICANT_BITS: u32 = 5;
    const OFFSET: u128 = 9_578;
    let exact = (block_gas_limit as u128 * BLOCKS_PER_YEAR).div_ceil(2 * TARGET_GROWTH_PER_YEAR);
    let shifted = exact + OFFSET;
    let shift = (u128::BITS - shifted.leading_zeros()).saturating_sub(SIGNIFICANT_BITS);
    let rounded = shifted >> shift << shift;
    // At most 2^64 * 2.7e6 / 2.1e11: narrower than the limit itself.
    if rounded > OFFSET { (rounded - OFFSET) as u64 } else { 1 }
}

/// KECCAK256 without its words.
pub const KECCAK_BASE: u32 = 30;
/// A log, and each of its topics.
pub const LOG_TOPIC: u32 = 375;
/// EIP-2929 warm access.
pub const WARM_ACCESS: u32 = 100;

/// A call to the exchange, per word of its input; every function charges its own price on top.
pub const EXCHANGE_INPUT_WORD: u64 = 3;
/// A function of the exchange that reads no storage.
pub const EXCHANGE_CONTEXT: u64 = 100;
/// A function of the exchange that reads storage.
pub const EXCHANGE_LOOKUP: u64 = 2_100;
/// A transfer or a claim in the exchange's ledger.
pub const EXCHANGE_TRANSFER: u64 = 30_000;
/// A send, without its data, the gas that the message has at its destination, and [`EXCHANGE_REFUND`].
pub const EXCHANGE_SEND: u64 = 30_000;
/// A send, per byte of the message's data.
pub const EXCHANGE_SEND_BYTE: u64 = 16;
/// Gas that the call of a failure receipt has; its message has paid for it.
pub const EXCHANGE_REFUND: u64 = 100_000;
/// A data call, without the gas that it uses at its target.
pub const EXCHANGE_READ: u64 = 2_600;
/// What a delivery takes of its destination's inbox gas besides the gas of its call. No transaction pays it.
pub const EXCHANGE_DELIVERY: u64 = 20_000;

/// Net-metered SSTORE (EIP-1283 and its successors): `warm` for what costs as much as a read, `reset` for the first
/// change of a slot that is not zero, `clears` the refund of clearing.
const fn net_metered(mut s: GasSchedule, warm: u32, reset: u32, clears: i32) -> GasSchedule {
    const SET: u32 = 20_000;
    let restored = (reset - warm) as i32;
    //           assigned added deleted modified deleted+added modified+deleted deleted+restored
    s.sstore = [warm, SET, reset, reset, warm, warm, warm, warm, warm];
    s.sstore_refund = [0, 0, clears, 0, -clears, clears, restored - clears, (SET - warm) as i32, restored];
    s
}

impl GasSchedule {
    const FRONTIER: Self = Self {
        balance: 20,
        ext_code: 20,
        ext_code_hash: 400,
        sload: 50,
        call: 40,
        self_destruct: 0,
        cold_account: 0,
        cold_beneficiary: 0,
        cold_slot: 0,
        exp_byte: 10,
        keccak_word: 6,
        copy_word: 3,
        log_byte: 8,
        memory_word: 3,
        call_value: 9_000,
        call_stipend: 2_300,
        new_account: 25_000,
        self_destruct_new_account: 0,
        self_destruct_refund: 24_000,
        create: 32_000,
        code_deposit_byte: 200,
        code_deposit_word: 0,
        initcode_word: 0,
        sstore: [5_000, 20_000, 5_000, 5_000, 20_000, 5_000, 20_000, 5_000, 5_000],
        sstore_refund: [0, 0, 15_000, 0, 0, 15_000, 0, 15_000, 0],
        sstore_sentry: 0,
        transaction: 21_000,
        transaction_create: 0,
        data_zero: 4,
        data_nonzero: 68,
        data_floor_token: 0,
        data_floor_zero: 1,
        access_list_address_tokens: 0,
        access_list_slot_tokens: 0,
        access_list_address: 2_400,
        access_list_slot: 1_900,
        authorization: 25_000,
        authorization_refund: 12_500,
        refund_quotient: 2,
        max_code_size: u32::MAX,
        max_initcode_size: u32::MAX,
        transaction_gas_cap: u32::MAX,
        state_bytes_account: 0,
        state_bytes_slot: 0,
        state_bytes_delegation: 0,
        state_bytes_code: 0,
    };

    /// The schedule of a fork.
    #[must_use]
    pub const fn of(fork: Fork) -> Self {
        let fork = fork as u8;
        let mut s = Self::FRONTIER;
        if fork >= Fork::Homestead as u8 {
            s.transaction_create = 32_000;
        }
        if fork >= Fork::TangerineWhistle as u8 {
            s.balance = 400;
            s.ext_code = 700;
            s.sload = 200;
            s.call = 700;
            s.self_destruct = 5_000;
            s.self_destruct_new_account = 25_000;
        }
        if fork >= Fork::SpuriousDragon as u8 {
            s.exp_byte = 50;
            s.max_code_size = 24_576;
        }
        if fork == Fork::Constantinople as u8 {
            s = net_metered(s, 200, 5_000, 15_000);
        }
        if fork >= Fork::Istanbul as u8 {
            s.balance = 700;
            s.ext_code_hash = 700;
            s.sload = 800;
            s.data_nonzero = 16;
            s.sstore_sentry = 2_300;
            s = net_metered(s, 800, 5_000, 15_000);
        }
        if fork >= Fork::Berlin as u8 {
            s.balance = WARM_ACCESS;
            s.ext_code = WARM_ACCESS;
            s.ext_code_hash = WARM_ACCESS;
            s.sload = WARM_ACCESS;
            s.call = WARM_ACCESS;
            s.cold_account = 2_600 - WARM_ACCESS;
            s.cold_beneficiary = 2_600;
            s.cold_slot = 2_000;
            s = net_metered(s, WARM_ACCESS, 5_000 - 2_100, 15_000);
        }
        if fork >= Fork::London as u8 {
            s.self_destruct_refund = 0;
            s.refund_quotient = 5;
            s = net_metered(s, WARM_ACCESS, 5_000 - 2_100, 4_800);
        }
        if fork >= Fork::Shanghai as u8 {
            s.initcode_word = 2;
            s.max_initcode_size = 49_152;
        }
        if fork >= Fork::Prague as u8 {
            s.data_floor_token = 10;
        }
        if fork >= Fork::Osaka as u8 {
            s.transaction_gas_cap = 1 << 24;
        }
        if fork >= Fork::Amsterdam as u8 {
            s.max_code_size = 32_768;
            s.max_initcode_size = 65_536;
            s.data_floor_token = 16;
            s.data_floor_zero = 4;
            s.access_list_address_tokens = 80;
            s.access_list_slot_tokens = 128;
            // EIP-8037: what grows the state costs state gas in place of these.
            s.state_bytes_account = 112;
            s.state_bytes_slot = 32;
            s.state_bytes_delegation = 23;
            s.state_bytes_code = 1;
            s.create = 9_000;
            s.transaction_create = 9_000;
            s.new_account = 0;
            s.self_destruct_new_account = 0;
            s.code_deposit_byte = 0;
            s.code_deposit_word = s.keccak_word;
            s.authorization = 7_500;
            s.authorization_refund = 0;
            s.sstore[SSTORE_ADDED] = s.sstore[SSTORE_MODIFIED];
            s.sstore_refund[SSTORE_ADDED_DELETED] = s.sstore_refund[SSTORE_RESTORED];
        }
        s
    }

    /// The number of a class.
    #[must_use]
    pub const fn class(&self, class: GasClass) -> u32 {
        match class {
            GasClass::Zero => 0,
            GasClass::JumpDest => 1,
            GasClass::Base => 2,
            GasClass::VeryLow => 3,
            GasClass::Low => 5,
            GasClass::Mid => 8,
            GasClass::High => 10,
            GasClass::BlockHash => 20,
            GasClass::Keccak => KECCAK_BASE,
            GasClass::Balance => self.balance,
            GasClass::ExtCode => self.ext_code,
            GasClass::ExtCodeHash => self.ext_code_hash,
            GasClass::Sload => self.sload,
            GasClass::WarmAccess => WARM_ACCESS,
            GasClass::Call => self.call,
            GasClass::Create => self.create,
            GasClass::SelfDestruct => self.self_destruct,
            GasClass::Log0 => LOG_TOPIC,
            GasClass::Log1 => 2 * LOG_TOPIC,
            GasClass::Log2 => 3 * LOG_TOPIC,
            GasClass::Log3 => 4 * LOG_TOPIC,
            GasClass::Log4 => 5 * LOG_TOPIC,
        }
    }

    /// Static gas by opcode byte; 0 where there is no opcode.
    #[must_use]
    pub fn static_gas(&self) -> [u32; 256] {
        std::array::from_fn(|byte| BY_BYTE[byte].map_or(0, |row| self.class(row.gas)))
    }
}

/// The schedules of all forks, by `fork as usize`.
pub static SCHEDULES: [GasSchedule; Fork::ALL.len()] = {
    let mut all = [GasSchedule::FRONTIER; Fork::ALL.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = GasSchedule::of(Fork::ALL[i]);
        i += 1;
    }
    all
};

/// The case of an SSTORE, from the value before the transaction, the value now and the new value. X, Y and Z are
/// different values that are not zero; the arrows are original -> current -> new.
///
/// | case | meaning |
/// | --- | --- |
/// | 0 assigned | nothing changes, or X -> Y -> Z, 0 -> Y -> Z |
/// | 1 added | 0 -> 0 -> Z |
/// | 2 deleted | X -> X -> 0 |
/// | 3 modified | X -> X -> Z |
/// | 4 deleted, added | X -> 0 -> Z |
/// | 5 modified, deleted | X -> Y -> 0 |
/// | 6 deleted, restored | X -> 0 -> X |
/// | 7 added, deleted | 0 -> Y -> 0 |
/// | 8 modified, restored | X -> Y -> X |
#[must_use]
pub fn sstore_case(original: &U256, current: &U256, new: &U256) -> usize {
    if current == new {
        return 0;
    }
    if original == current {
        return match (original.is_zero(), new.is_zero()) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
    }
    match (original.is_zero(), current.is_zero(), new.is_zero()) {
        (false, true, _) if original == new => 6,
        (false, true, _) => 4,
        (false, false, true) => 5,
        (true, _, true) => 7,
        (false, false, false) if original == new => 8,
        _ => 0,
    }
}

/// What memory of that many words costs in all (Yellow Paper, appendix H).
#[inline]
#[must_use]
pub const fn memory_cost(words: u64) -> u64 {
    // 2^27 words are 4 GiB and cost more than 2^45 gas; wider counts are refused before they come here.
    3 * words + words * words / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sstore_examples_of_eip_2200_and_3529() {
        let run = |fork: Fork, original: u64, writes: &[u64]| {
            let s = GasSchedule::of(fork);
            let (mut gas, mut refund, mut current) = (0, 0, U256::from(original));
            for write in writes {
                let new = U256::from(*write);
                let case = sstore_case(&original.into(), &current, &new);
                gas += s.sstore[case];
                refund += s.sstore_refund[case];
                current = new;
            }
            (gas, refund)
        };
        // The table of EIP-2200 without the twelve gas of the pushes.
        assert_eq!(run(Fork::Istanbul, 0, &[0, 1]), (20_800, 0));
        assert_eq!(run(Fork::Istanbul, 0, &[1, 0]), (20_800, 19_200));
        assert_eq!(run(Fork::Istanbul, 1, &[0, 1]), (5_800, 4_200));
        assert_eq!(run(Fork::Istanbul, 1, &[0, 2]), (5_800, 0));
        assert_eq!(run(Fork::Istanbul, 1, &[2, 1]), (5_800, 4_200));
        assert_eq!(run(Fork::Istanbul, 1, &[0, 1, 0]), (10_800, 19_200));
        // EIP-3529.
        assert_eq!(run(Fork::London, 1, &[0]), (2_900, 4_800));
        assert_eq!(run(Fork::London, 1, &[0, 1, 0]), (5_900, 7_600));
        assert_eq!(run(Fork::Petersburg, 1, &[0, 1, 0]), (30_000, 30_000));
    }

    #[test]
    fn state_gas_follows_the_block_gas_limit() {
        // The EIP's own example.
        assert_eq!(state_gas_per_byte(100_000_000), 1_174);
        assert_eq!(state_gas_per_byte(0), 1);
        assert!(state_gas_per_byte(u64::MAX) > 1 << 40);
    }

    #[test]
    fn schedules_change_where_their_eips_say() {
        let at = |fork: Fork| SCHEDULES[fork as usize];
        assert_eq!(at(Fork::Homestead).sload, 50);
        assert_eq!(at(Fork::TangerineWhistle).sload, 200);
        assert_eq!(at(Fork::Istanbul).sload, 800);
        assert_eq!(at(Fork::Berlin).sload, 100);
        assert_eq!(at(Fork::Byzantium).data_nonzero, 68);
        assert_eq!(at(Fork::Osaka).transaction_gas_cap, 16_777_216);
    }
}
