//! The interpreter against the opcode table: every row has a body, in the forks that have the row and in no other, and
//! the body takes and leaves as many stack items as the row says.

use isolane_cpu::{Available, Machine};
use isolane_spec::opcode::{OPCODES, Opcode, op};
use isolane_spec::{
    AccountInfo, BlockContext, Bytes, Environment, Fork, H160, Halt, MemoryState, Rules, Status, Transaction, U256,
};
use std::sync::Arc;

/// Opcodes after which the frame does not go on with the next byte.
const ENDS: [u8; 6] = [op::STOP, op::JUMP, op::RETURN, op::REVERT, op::INVALID, op::SELFDESTRUCT];

/// Executes code that is an account's, with operands of zero wherever it does not push others.
fn run(fork: Fork, code: Vec<u8>) -> Status {
    let (sender, callee) = (H160::repeat_byte(0xaa), H160::repeat_byte(0xcc));
    let code = Bytes::from(code);
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(1u64 << 60), ..AccountInfo::default() };
    state.insert(sender, rich, Bytes::new(), []);
    let info = AccountInfo { code_hash: isolane_cpu::crypto::keccak256(&code), ..rich };
    state.insert(callee, info, code, []);
    // Block 0 has no ancestors, so that BLOCKHASH(0) needs none.
    // The price of state follows the block's gas limit (EIP-8037).
    let block = BlockContext { gas_limit: 60_000_000, ..BlockContext::default() };
    let mut machine = Machine::new(Environment::new("table", Rules::new(fork, 1), block, Arc::new(state)));
    let transaction = Transaction { sender, to: Some(callee), gas_limit: 1_000_000, ..Transaction::default() };
    let available = Available { gas: 1 << 40, blob_gas: 0 };
    machine.transact(&transaction, available).expect("the state answers").status
}

/// `pops` zeros, the opcode with its immediate data, and `drops` POPs.
fn program(row: &Opcode, pops: u8, drops: u8) -> Vec<u8> {
    let mut code = [op::PUSH1, 0].repeat(pops.into());
    code.push(row.byte);
    // Of those that EIP-8024 defines, the immediate that reaches the fewest items.
    let immediate = match row.byte {
        op::DUPN | op::SWAPN => 0x80,
        op::EXCHANGE => 0x8e,
        _ => 0,
    };
    code.extend(vec![immediate; row.immediate.into()]);
    code.extend(vec![op::POP; drops.into()]);
    code
}

#[test]
fn every_row_has_a_body_with_its_stack_effect() {
    for fork in Fork::ALL {
        for row in OPCODES.iter().filter(|row| row.since <= fork) {
            let what = format!("{} in {fork}", row.name);
            let status = run(fork, program(row, row.pops, row.pushes));
            assert_ne!(status, Status::Halt(Halt::UndefinedOpcode), "{what} has no body");
            if row.pops > 0 {
                let status = run(fork, program(row, row.pops - 1, 0));
                assert_eq!(status, Status::Halt(Halt::StackUnderflow), "{what} with {} items", row.pops - 1);
            }
            if ENDS.contains(&row.byte) {
                continue;
            }
            assert_eq!(status, Status::Success, "{what}: {} items in, {} out", row.pops, row.pushes);
            let status = run(fork, program(row, row.pops, row.pushes + 1));
            assert_eq!(status, Status::Halt(Halt::StackUnderflow), "{what} leaves more than {}", row.pushes);
        }
    }
}

#[test]
fn a_full_stack_takes_no_more() {
    for row in OPCODES.iter().filter(|row| row.pushes > row.pops) {
        let full = program(row, 0, 0);
        let code = [[op::PUSH1, 0].repeat(1024), full].concat();
        assert_eq!(run(Fork::Amsterdam, code), Status::Halt(Halt::StackOverflow), "{}", row.name);
    }
}

#[test]
fn other_bytes_are_undefined() {
    for fork in Fork::ALL {
        for byte in (0..=255).filter(|byte| Opcode::of(*byte, fork).is_none()) {
            assert_eq!(run(fork, vec![byte]), Status::Halt(Halt::UndefinedOpcode), "{byte:#04x} in {fork}");
        }
    }
}
