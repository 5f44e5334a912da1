//! THE opcode table: one row per opcode. Every backend derives its dispatch, stack checks and static gas from here.

use crate::fork::Fork;
use crate::gas::GasClass;

/// Which file of a backend holds the opcode's body (`cpu/src/op/…`, `shaders/op/…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// ADD to SIGNEXTEND.
    Arithmetic,
    /// LT to ISZERO.
    Comparison,
    /// AND to CLZ.
    Bitwise,
    /// KECCAK256.
    Keccak,
    /// ADDRESS to EXTCODEHASH.
    Environment,
    /// BLOCKHASH to SLOTNUM.
    Block,
    /// POP, PUSH, DUP, SWAP.
    Stack,
    /// MLOAD, MSTORE, MSTORE8, MSIZE, MCOPY.
    Memory,
    /// SLOAD, SSTORE, TLOAD, TSTORE.
    Storage,
    /// STOP, jumps, PC, GAS, RETURN, REVERT, INVALID, SELFDESTRUCT.
    Control,
    /// LOG0 to LOG4.
    Log,
    /// The CALL family.
    Call,
    /// CREATE and CREATE2.
    Create,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode {
    /// The byte in code.
    pub byte: u8,
    /// The name of the Yellow Paper or the EIP.
    pub name: &'static str,
    /// Where its body lives.
    pub family: Family,
    /// Stack items it takes. Of DUPN, SWAPN and EXCHANGE the fewest that any immediate takes; see [`stack_index`].
    pub pops: u8,
    /// Stack items it leaves.
    pub pushes: u8,
    /// Bytes of immediate data that follow it.
    pub immediate: u8,
    /// The first fork that has it.
    pub since: Fork,
    /// Its static gas, by name; [`crate::gas::GasSchedule`] gives the number for a fork.
    pub gas: GasClass,
}

macro_rules! opcodes {
    ($($byte:literal $name:ident $family:ident $pops:literal $pushes:literal $immediate:literal $since:ident $gas:ident;)*) => {
        /// The opcodes' bytes by name.
        pub mod op {
            $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: u8 = $byte;)*
        }

        /// All rows, by byte.
        pub const OPCODES: &[Opcode] = &[
            $(Opcode {
                byte: $byte,
                name: stringify!($name),
                family: Family::$family,
                pops: $pops,
                pushes: $pushes,
                immediate: $immediate,
                since: Fork::$since,
                gas: GasClass::$gas,
            },)*
        ];
    };
}

opcodes! {
//  byte name           family   pops pushes imm since gas
    0x00 STOP           Control     0 0 0 Frontier Zero;
    0x01 ADD            Arithmetic  2 1 0 Frontier VeryLow;
    0x02 MUL            Arithmetic  2 1 0 Frontier Low;
    0x03 SUB            Arithmetic  2 1 0 Frontier VeryLow;
    0x04 DIV            Arithmetic  2 1 0 Frontier Low;
    0x05 SDIV           Arithmetic  2 1 0 Frontier Low;
    0x06 MOD            Arithmetic  2 1 0 Frontier Low;
    0x07 SMOD           Arithmetic  2 1 0 Frontier Low;
    0x08 ADDMOD         Arithmetic  3 1 0 Frontier Mid;
    0x09 MULMOD         Arithmetic  3 1 0 Frontier Mid;
    0x0a EXP            Arithmetic  2 1 0 Frontier High;
    0x0b SIGNEXTEND     Arithmetic  2 1 0 Frontier Low;
    0x10 LT             Comparison  2 1 0 Frontier VeryLow;
    0x11 GT             Comparison  2 1 0 Frontier VeryLow;
    0x12 SLT            Comparison  2 1 0 Frontier VeryLow;
    0x13 SGT            Comparison  2 1 0 Frontier VeryLow;
    0x14 EQ             Comparison  2 1 0 Frontier VeryLow;
    0x15 ISZERO         Comparison  1 1 0 Frontier VeryLow;
    0x16 AND            Bitwise     2 1 0 Frontier VeryLow;
    0x17 OR             Bitwise     2 1 0 Frontier VeryLow;
    0x18 XOR            Bitwise     2 1 0 Frontier VeryLow;
    0x19 NOT            Bitwise     1 1 0 Frontier VeryLow;
    0x1a BYTE           Bitwise     2 1 0 Frontier VeryLow;
    0x1b SHL            Bitwise     2 1 0 Constantinople VeryLow;
    0x1c SHR            Bitwise     2 1 0 Constantinople VeryLow;
    0x1d SAR            Bitwise     2 1 0 Constantinople VeryLow;
    0x1e CLZ            Bitwise     1 1 0 Osaka Low;
    0x20 KECCAK256      Keccak      2 1 0 Frontier Keccak;
    0x30 ADDRESS        Environment 0 1 0 Frontier Base;
    0x31 BALANCE        Environment 1 1 0 Frontier Balance;
    0x32 ORIGIN         Environment 0 1 0 Frontier Base;
    0x33 CALLER         Environment 0 1 0 Frontier Base;
    0x34 CALLVALUE      Environment 0 1 0 Frontier Base;
    0x35 CALLDATALOAD   Environment 1 1 0 Frontier VeryLow;
    0x36 CALLDATASIZE   Environment 0 1 0 Frontier Base;
    0x37 CALLDATACOPY   Environment 3 0 0 Frontier VeryLow;
    0x38 CODESIZE       Environment 0 1 0 Frontier Base;
    0x39 CODECOPY       Environment 3 0 0 Frontier VeryLow;
    0x3a GASPRICE       Environment 0 1 0 Frontier Base;
    0x3b EXTCODESIZE    Environment 1 1 0 Frontier ExtCode;
    0x3c EXTCODECOPY    Environment 4 0 0 Frontier ExtCode;
    0x3d RETURNDATASIZE Environment 0 1 0 Byzantium Base;
    0x3e RETURNDATACOPY Environment 3 0 0 Byzantium VeryLow;
    0x3f EXTCODEHASH    Environment 1 1 0 Constantinople ExtCodeHash;
    0x40 BLOCKHASH      Block       1 1 0 Frontier BlockHash;
    0x41 COINBASE       Block       0 1 0 Frontier Base;
    0x42 TIMESTAMP      Block       0 1 0 Frontier Base;
    0x43 NUMBER         Block       0 1 0 Frontier Base;
    0x44 PREVRANDAO     Block       0 1 0 Frontier Base;
    0x45 GASLIMIT       Block       0 1 0 Frontier Base;
    0x46 CHAINID        Block       0 1 0 Istanbul Base;
    0x47 SELFBALANCE    Block       0 1 0 Istanbul Low;
    0x48 BASEFEE        Block       0 1 0 London Base;
    0x49 BLOBHASH       Block       1 1 0 Cancun VeryLow;
    0x4a BLOBBASEFEE    Block       0 1 0 Cancun Base;
    0x4b SLOTNUM        Block       0 1 0 Amsterdam Base;
    0x50 POP            Stack       1 0 0 Frontier Base;
    0x51 MLOAD          Memory      1 1 0 Frontier VeryLow;
    0x52 MSTORE         Memory      2 0 0 Frontier VeryLow;
    0x53 MSTORE8        Memory      2 0 0 Frontier VeryLow;
    0x54 SLOAD          Storage     1 1 0 Frontier Sload;
    0x55 SSTORE         Storage     2 0 0 Frontier Zero;
    0x56 JUMP           Control     1 0 0 Frontier Mid;
    0x57 JUMPI          Control     2 0 0 Frontier High;
    0x58 PC             Control     0 1 0 Frontier Base;
    0x59 MSIZE          Memory      0 1 0 Frontier Base;
    0x5a GAS            Control     0 1 0 Frontier Base;
    0x5b JUMPDEST       Control     0 0 0 Frontier JumpDest;
    0x5c TLOAD          Storage     1 1 0 Cancun WarmAccess;
    0x5d TSTORE         Storage     2 0 0 Cancun WarmAccess;
    0x5e MCOPY          Memory      3 0 0 Cancun VeryLow;
    0x5f PUSH0          Stack       0 1 0 Shanghai Base;
    0x60 PUSH1          Stack       0 1 1 Frontier VeryLow;
    0x61 PUSH2          Stack       0 1 2 Frontier VeryLow;
    0x62 PUSH3          Stack       0 1 3 Frontier VeryLow;
    0x63 PUSH4          Stack       0 1 4 Frontier VeryLow;
    0x64 PUSH5          Stack       0 1 5 Frontier VeryLow;
    0x65 PUSH6          Stack       0 1 6 Frontier VeryLow;
    0x66 PUSH7          Stack       0 1 7 Frontier VeryLow;
    0x67 PUSH8          Stack       0 1 8 Frontier VeryLow;
    0x68 PUSH9          Stack       0 1 9 Frontier VeryLow;
    0x69 PUSH10         Stack       0 1 10 Frontier VeryLow;
    0x6a PUSH11         Stack       0 1 11 Frontier VeryLow;
    0x6b PUSH12         Stack       0 1 12 Frontier VeryLow;
    0x6c PUSH13         Stack       0 1 13 Frontier VeryLow;
    0x6d PUSH14         Stack       0 1 14 Frontier VeryLow;
    0x6e PUSH15         Stack       0 1 15 Frontier VeryLow;
    0x6f PUSH16         Stack       0 1 16 Frontier VeryLow;
    0x70 PUSH17         Stack       0 1 17 Frontier VeryLow;
    0x71 PUSH18         Stack       0 1 18 Frontier VeryLow;
    0x72 PUSH19         Stack       0 1 19 Frontier VeryLow;
    0x73 PUSH20         Stack       0 1 20 Frontier VeryLow;
    0x74 PUSH21         Stack       0 1 21 Frontier VeryLow;
    0x75 PUSH22         Stack       0 1 22 Frontier VeryLow;
    0x76 PUSH23         Stack       0 1 23 Frontier VeryLow;
    0x77 PUSH24         Stack       0 1 24 Frontier VeryLow;
    0x78 PUSH25         Stack       0 1 25 Frontier VeryLow;
    0x79 PUSH26         Stack       0 1 26 Frontier VeryLow;
    0x7a PUSH27         Stack       0 1 27 Frontier VeryLow;
    0x7b PUSH28         Stack       0 1 28 Frontier VeryLow;
    0x7c PUSH29         Stack       0 1 29 Frontier VeryLow;
    0x7d PUSH30         Stack       0 1 30 Frontier VeryLow;
    0x7e PUSH31         Stack       0 1 31 Frontier VeryLow;
    0x7f PUSH32         Stack       0 1 32 Frontier VeryLow;
    0x80 DUP1           Stack       1 2 0 Frontier VeryLow;
    0x81 DUP2           Stack       2 3 0 Frontier VeryLow;
    0x82 DUP3           Stack       3 4 0 Frontier VeryLow;
    0x83 DUP4           Stack       4 5 0 Frontier VeryLow;
    0x84 DUP5           Stack       5 6 0 Frontier VeryLow;
    0x85 DUP6           Stack       6 7 0 Frontier VeryLow;
    0x86 DUP7           Stack       7 8 0 Frontier VeryLow;
    0x87 DUP8           Stack       8 9 0 Frontier VeryLow;
    0x88 DUP9           Stack       9 10 0 Frontier VeryLow;
    0x89 DUP10          Stack       10 11 0 Frontier VeryLow;
    0x8a DUP11          Stack       11 12 0 Frontier VeryLow;
    0x8b DUP12          Stack       12 13 0 Frontier VeryLow;
    0x8c DUP13          Stack       13 14 0 Frontier VeryLow;
    0x8d DUP14          Stack       14 15 0 Frontier VeryLow;
    0x8e DUP15          Stack       15 16 0 Frontier VeryLow;
    0x8f DUP16          Stack       16 17 0 Frontier VeryLow;
    0x90 SWAP1          Stack       2 2 0 Frontier VeryLow;
    0x91 SWAP2          Stack       3 3 0 Frontier VeryLow;
    0x92 SWAP3          Stack       4 4 0 Frontier VeryLow;
    0x93 SWAP4          Stack       5 5 0 Frontier VeryLow;
    0x94 SWAP5          Stack       6 6 0 Frontier VeryLow;
    0x95 SWAP6          Stack       7 7 0 Frontier VeryLow;
    0x96 SWAP7          Stack       8 8 0 Frontier VeryLow;
    0x97 SWAP8          Stack       9 9 0 Frontier VeryLow;
    0x98 SWAP9          Stack       10 10 0 Frontier VeryLow;
    0x99 SWAP10         Stack       11 11 0 Frontier VeryLow;
    0x9a SWAP11         Stack       12 12 0 Frontier VeryLow;
    0x9b SWAP12         Stack       13 13 0 Frontier VeryLow;
    0x9c SWAP13         Stack       14 14 0 Frontier VeryLow;
    0x9d SWAP14         Stack       15 15 0 Frontier VeryLow;
    0x9e SWAP15         Stack       16 16 0 Frontier VeryLow;
    0x9f SWAP16         Stack       17 17 0 Frontier VeryLow;
    0xa0 LOG0           Log         2 0 0 Frontier Log0;
    0xa1 LOG1           Log         3 0 0 Frontier Log1;
    0xa2 LOG2           Log         4 0 0 Frontier Log2;
    0xa3 LOG3           Log         5 0 0 Frontier Log3;
    0xa4 LOG4           Log         6 0 0 Frontier Log4;
    0xe6 DUPN           Stack       17 18 1 Amsterdam VeryLow;
    0xe7 SWAPN          Stack       18 18 1 Amsterdam VeryLow;
    0xe8 EXCHANGE       Stack       3 3 1 Amsterdam VeryLow;
    0xf0 CREATE         Create      3 1 0 Frontier Create;
    0xf1 CALL           Call        7 1 0 Frontier Call;
    0xf2 CALLCODE       Call        7 1 0 Frontier Call;
    0xf3 RETURN         Control     2 0 0 Frontier Zero;
    0xf4 DELEGATECALL   Call        6 1 0 Homestead Call;
    0xf5 CREATE2        Create      4 1 0 Constantinople Create;
    0xfa STATICCALL     Call        6 1 0 Byzantium Call;
    0xfd REVERT         Control     2 0 0 Byzantium Zero;
    0xfe INVALID        Control     0 0 0 Frontier Zero;
    0xff SELFDESTRUCT   Control     1 0 0 Frontier SelfDestruct;
}

/// The table by byte, for look-ups in constant time.
pub const BY_BYTE: [Option<Opcode>; 256] = {
    let mut table = [None; 256];
    let mut i = 0;
    while i < OPCODES.len() {
        table[OPCODES[i].byte as usize] = Some(OPCODES[i]);
        i += 1;
    }
    table
};

impl Opcode {
    /// The row of that name, in any case and fork.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        OPCODES.iter().find(|row| row.name.eq_ignore_ascii_case(name)).copied()
    }

    /// The row of a byte in a fork; `None` where the fork does not define it.
    #[must_use]
    pub fn of(byte: u8, fork: Fork) -> Option<Self> {
        BY_BYTE[usize::from(byte)].filter(|row| row.since <= fork)
    }
}

/// The stack index that the immediate byte of DUPN or SWAPN means (EIP-8024): 17 to 235. `None` for the bytes 0x5b to
/// 0x7f, which stay what they were before these opcodes: JUMPDEST and PUSH.
#[must_use]
pub const fn stack_index(immediate: u8) -> Option<u8> {
    match immediate {
        0x5b..=0x7f => None,
        _ => Some(immediate.wrapping_add(145)),
    }
}

/// The two stack items that EXCHANGE exchanges, by its immediate byte, counted from the item below the top as 1
/// (EIP-8024); the first is the higher one. `None` for the bytes 0x52 to 0x7f.
#[must_use]
pub const fn exchanged_items(immediate: u8) -> Option<(u8, u8)> {
    if matches!(immediate, 0x52..=0x7f) {
        return None;
    }
    let (row, column) = ((immediate ^ 0x8f) / 16, (immediate ^ 0x8f) % 16);
    Some(if row < column { (row + 1, column + 1) } else { (column + 1, 29 - row) })
}

/// Whether the byte after an opcode belongs to it, so that it can be no JUMPDEST (EIP-8024). A forbidden immediate does
/// not. `false` for opcodes without such an immediate.
#[must_use]
pub const fn takes_immediate(byte: u8, immediate: u8) -> bool {
    match byte {
        op::DUPN | op::SWAPN => stack_index(immediate).is_some(),
        op::EXCHANGE => exchanged_items(immediate).is_some(),
        _ => false,
    }
}

/// A set of opcodes: 256 bits, one a byte, the same on every backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpcodeSet([u64; 4]);

impl OpcodeSet {
    /// No opcode.
    pub const EMPTY: Self = Self([0; 4]);

    /// The set with one more.
    #[must_use]
    pub const fn with(mut self, byte: u8) -> Self {
        self.0[byte as usize / 64] |= 1 << (byte % 64);
        self
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[byte as usize / 64] >> (byte % 64) & 1 == 1
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The bits; the lowest of the first word is STOP.
    #[must_use]
    pub const fn bits(&self) -> [u64; 4] {
        self.0
    }
}

impl FromIterator<u8> for OpcodeSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        for pair in OPCODES.windows(2) {
            assert!(pair[0].byte < pair[1].byte, "{} and {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        for row in OPCODES {
            assert_eq!(Opcode::named(&row.name.to_lowercase()), Some(*row));
            let alone: OpcodeSet = [row.byte].into_iter().collect();
            assert_eq!((0..=255).filter(|byte| alone.contains(*byte)).collect::<Vec<u8>>(), [row.byte]);
        }
        assert!(OpcodeSet::EMPTY.is_empty());
        assert_eq!(OpcodeSet::EMPTY.with(0).with(255).bits(), [1, 0, 0, 1 << 63]);
    }

    #[test]
    fn immediates_of_eip_8024() {
        let indices: Vec<u8> = (0..=255).filter_map(stack_index).collect();
        let mut sorted = indices.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (17..=235).collect::<Vec<u8>>(), "each index has one byte");
        assert_eq!((stack_index(0x80), stack_index(0)), (Some(17), Some(145)));
        let mut pairs: Vec<(u8, u8)> = (0..=255).filter_map(exchanged_items).collect();
        pairs.sort_unstable();
        let expected: Vec<(u8, u8)> = (1..=14).flat_map(|n| (n + 1..=30 - n).map(move |m| (n, m))).collect();
        assert_eq!(pairs, expected, "each pair has one byte");
        assert_eq!(exchanged_items(0x8e), Some((1, 2)));
    }

    #[test]
    fn forks_add_opcodes() {
        assert!(Opcode::of(op::PUSH0, Fork::Paris).is_none());
        assert!(Opcode::of(op::PUSH0, Fork::Shanghai).is_some());
        assert!(Opcode::of(0x0c, Fork::Osaka).is_none());
    }
}
