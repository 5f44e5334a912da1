//! The loop that executes one frame, and the one place where stack bounds and static gas are checked.
//!
//! It is compiled twice from one source. The *fast* form executes decoded blocks ([`crate::program`]) and checks once a
//! block. The *checked* form executes the bytes and checks every instruction; it takes over, for the rest of the
//! frame, wherever the fast form meets a failure, so that the place and the reason of a halt are exact.

mod checked;

use crate::frame::Frame;
use crate::lane::Lane;
use crate::op;
use crate::op::Trap;
use crate::program::{Program, inner};
use crate::stack::{LIMIT, Slots, Stack};
use crate::watch::Hook;
use checked::fetch_checked;
use isolane_spec::opcode::op as opcode;
use isolane_spec::{Halt, StateError, U256, word};

/// Why the loop left a frame.
pub(crate) enum Exit {
    /// STOP, or SELFDESTRUCT.
    Stop,
    /// RETURN with output at this place of the memory.
    Return(usize, usize),
    /// REVERT with output at this place of the memory.
    Revert(usize, usize),
    Halt(Halt),
    /// The call is in [`Lane::call`].
    Call,
    /// The creation is in [`Lane::creation`].
    Create,
    /// Continue in the checked form.
    Checked,
    /// The base state could not answer.
    State(Box<StateError>),
}

/// Executes a frame until it ends or calls.
pub(crate) fn run<H: Hook>(
    lane: &mut Lane,
    frame: &mut Frame,
    slots: &mut Slots,
    program: &mut Program,
    input: &[u8],
    hook: &mut H,
) -> Exit {
    if !H::WATCHED && !frame.checked {
        match run_form::<false, ()>(lane, frame, slots, program, input, ()) {
            Exit::Checked => frame.checked = true,
            exit => return exit,
        }
    }
    run_form::<true, &mut H>(lane, frame, slots, program, input, hook)
}

#[inline(never)]
fn run_form<const CHECKED: bool, H: Hook>(
    lane: &mut Lane,
    frame: &mut Frame,
    slots: &mut Slots,
    program: &mut Program,
    input: &[u8],
    mut hook: H,
) -> Exit {
    let mut stack = Stack::new(slots, frame.stack_len);
    let mut gas = frame.gas;
    // In the fast form an instruction, in the checked form a byte.
    let mut ip = frame.position;
    // At hand, and taken anew wherever more is decoded.
    let mut instructions = &program.instructions[..];

    // Runs a body that can fail.
    macro_rules! attempt {
        ($run:lifetime, $body:expr) => {
            match $body {
                Ok(value) => value,
                Err(trap) => break $run Err(Trap::from(trap)),
            }
        };
    }

    // Jumps. An instruction ends with the step to the next one, which is the only thing that most of them do with the place:
    // nothing is kept for it meanwhile.
    macro_rules! go {
        ($to:expr) => {
            ip = usize::wrapping_sub($to, 1)
        };
    }

    // Charges the block that starts at an instruction.
    macro_rules! charge {
        ($at:expr, $instruction:expr) => {{
            let block = &program.blocks[$instruction.arg as usize];
            let steps = lane.steps + u64::from(block.steps);
            if gas < u64::from(block.gas)
                || stack.len() < usize::from(block.need)
                || stack.len() + usize::from(block.grow) > LIMIT
                || steps > lane.limits.steps
            {
                frame.position = program.position($at);
                break Ok(Exit::Checked);
            }
            gas -= u64::from(block.gas);
            lane.steps = steps;
        }};
    }
    // Jumps to the start of a block, and charges it at once.
    macro_rules! enter {
        ($to:expr) => {{
            let to = $to;
            charge!(to, instructions[to]);
            ip = to;
        }};
    }

    let end: Result<Exit, Trap> = 'run: loop {
        if H::WATCHED {
            hook.step(lane, frame, &stack, program.code.get(ip).copied().unwrap_or(opcode::STOP), ip, gas);
        }
        let instruction =
            if CHECKED { attempt!('run, fetch_checked(lane, program, ip, &stack, &mut gas)) } else { instructions[ip] };
        match instruction.op {
            inner::BLOCK if !CHECKED => charge!(ip, instruction),
            inner::PUSH_SMALL if !CHECKED => stack.push(U256([u64::from(instruction.arg), 0, 0, 0])),
            inner::PUSH_CONSTANT if !CHECKED => stack.push(program.constants[instruction.arg as usize]),
            inner::GOTO if !CHECKED => enter!(instruction.arg as usize),
            inner::JUMPI_TO if !CHECKED => {
                let taken = !op::comparison::is_zero(&stack.peek(0));
                stack.drop(1);
                if taken {
                    enter!(instruction.arg as usize);
                }
            }
            inner::JUMPI_ZERO_TO if !CHECKED => {
                let taken = op::comparison::is_zero(&stack.peek(0));
                stack.drop(1);
                if taken {
                    enter!(instruction.arg as usize);
                }
            }
            inner::JUMP_TO_PC if !CHECKED => {
                go!(program.link(ip, &lane.rows));
                instructions = &program.instructions;
            }
            inner::JUMPI_TO_PC if !CHECKED => {
                if op::comparison::is_zero(&stack.pop()) {
                    ip += 1;
                    continue;
                }
                go!(program.link(ip, &lane.rows));
                instructions = &program.instructions;
            }
            inner::JUMPI_ZERO_TO_PC if !CHECKED => {
                if !op::comparison::is_zero(&stack.pop()) {
                    ip += 1;
                    continue;
                }
                go!(program.link(ip, &lane.rows));
                instructions = &program.instructions;
            }
            inner::ADD_SMALL if !CHECKED => {
                let sum = op::arithmetic::wrapping_add(&stack.peek(0), &U256([u64::from(instruction.arg), 0, 0, 0]));
                stack.set(0, &sum);
            }
            inner::AND_CONSTANT if !CHECKED => {
                let masked = op::bitwise::both(&stack.peek(0), &program.constants[instruction.arg as usize]);
                stack.set(0, &masked);
            }
            inner::EQ_SMALL if !CHECKED => {
                let equal = op::comparison::is_small(&stack.peek(0), instruction.arg);
                stack.set(0, &U256([u64::from(equal), 0, 0, 0]));
            }
            inner::SHL_SMALL if !CHECKED => {
                let shifted = op::bitwise::shift_left(&stack.peek(0), instruction.arg as usize);
                stack.set(0, &shifted);
            }
            inner::SHR_SMALL if !CHECKED => {
                let shifted = op::bitwise::shift_right(&stack.peek(0), instruction.arg as usize, 0);
                stack.set(0, &shifted);
            }
            inner::MLOAD_SMALL if !CHECKED => {
                let offset = U256([u64::from(instruction.arg), 0, 0, 0]);
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                stack.push(frame.memory.load(offset));
            }
            inner::MSTORE_SMALL if !CHECKED => {
                let offset = U256([u64::from(instruction.arg), 0, 0, 0]);
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                frame.memory.store(offset, &stack.peek(0));
                stack.drop(1);
            }
            inner::SWAP_POP if !CHECKED => {
                stack.set(usize::from(instruction.also), &stack.peek(0));
                stack.drop(instruction.arg as usize);
            }
            inner::POPS if !CHECKED => stack.drop(instruction.arg as usize),
            inner::SUB_SMALL if !CHECKED => {
                let rest = op::arithmetic::wrapping_sub(&stack.peek(0), &U256([u64::from(instruction.arg), 0, 0, 0]));
                stack.set(0, &rest);
            }
            inner::SUB_TOP if !CHECKED => {
                let rest = op::arithmetic::wrapping_sub(&stack.peek(1), &stack.peek(0));
                stack.drop(1);
                stack.set(0, &rest);
            }
            inner::DUP_ADD if !CHECKED => {
                let item = stack.peek(usize::from(instruction.also));
                let sum = op::arithmetic::wrapping_add(&item, &stack.peek(0));
                stack.set(0, &sum);
            }
            inner::DUP_ADD_SMALL if !CHECKED => {
                let item = stack.peek(usize::from(instruction.also));
                stack.push(op::arithmetic::wrapping_add(&item, &U256([u64::from(instruction.arg), 0, 0, 0])));
            }
            inner::DUP_MLOAD if !CHECKED => {
                let offset = stack.peek(usize::from(instruction.also));
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                stack.push(frame.memory.load(offset));
            }
            inner::DUP_MSTORE if !CHECKED => {
                let offset = stack.peek(usize::from(instruction.also));
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                frame.memory.store(offset, &stack.peek(0));
                stack.drop(1);
            }
            inner::DUP_MSTORE_SMALL if !CHECKED => {
                let offset = U256([u64::from(instruction.arg), 0, 0, 0]);
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                frame.memory.store(offset, &stack.peek(usize::from(instruction.also)));
            }
            inner::PUSH_MSTORE_SMALL if !CHECKED => {
                let offset = U256([u64::from(instruction.arg), 0, 0, 0]);
                let offset = attempt!('run, frame.memory.require(&offset, 32, &mut gas));
                frame.memory.store(offset, &U256([u64::from(instruction.also), 0, 0, 0]));
            }
            inner::PUSH_PUSH if !CHECKED => {
                stack.push(U256([u64::from(instruction.arg), 0, 0, 0]));
                stack.push(U256([u64::from(instruction.also), 0, 0, 0]));
            }
            inner::PUSH_DUP if !CHECKED => {
                stack.push(U256([u64::from(instruction.arg), 0, 0, 0]));
                stack.dup(usize::from(instruction.also));
            }
            inner::DUP_PUSH if !CHECKED => {
                stack.dup(usize::from(instruction.also));
                stack.push(U256([u64::from(instruction.arg), 0, 0, 0]));
            }
            inner::PUSH_SWAP if !CHECKED => {
                stack.push(U256([u64::from(instruction.arg), 0, 0, 0]));
                stack.swap(usize::from(instruction.also));
            }
            inner::SWAP_SWAP if !CHECKED => {
                stack.swap(instruction.arg as usize);
                stack.swap(usize::from(instruction.also));
            }
            inner::DUP_SWAP if !CHECKED => {
                stack.dup(instruction.arg as usize);
                stack.swap(usize::from(instruction.also));
            }
            inner::DUP_DUP if !CHECKED => {
                stack.dup(instruction.arg as usize);
                stack.dup(usize::from(instruction.also));
            }
            inner::DUP_JUMPI_TO if !CHECKED => {
                if !op::comparison::is_zero(&stack.peek(usize::from(instruction.also))) {
                    enter!(instruction.arg as usize);
                }
            }
            inner::DUP_JUMPI_ZERO_TO if !CHECKED => {
                if op::comparison::is_zero(&stack.peek(usize::from(instruction.also))) {
                    enter!(instruction.arg as usize);
                }
            }
            inner::CHOOSE if !CHECKED => {
                let choice = program.choices[instruction.arg as usize];
                if op::comparison::is_small(&stack.peek(0), choice.value) {
                    enter!(choice.target as usize);
                }
            }
            inner::DUP_JUMPI_TO_PC if !CHECKED => {
                if !op::comparison::is_zero(&stack.peek(usize::from(instruction.also))) {
                    go!(program.link(ip, &lane.rows));
                    instructions = &program.instructions;
                }
            }
            inner::DUP_JUMPI_ZERO_TO_PC if !CHECKED => {
                if op::comparison::is_zero(&stack.peek(usize::from(instruction.also))) {
                    go!(program.link(ip, &lane.rows));
                    instructions = &program.instructions;
                }
            }
            inner::CHOOSE_PC if !CHECKED => {
                let choice = program.choices[instruction.arg as usize];
                if op::comparison::is_small(&stack.peek(0), choice.value) {
                    go!(program.link(ip, &lane.rows));
                    instructions = &program.instructions;
                }
            }
            inner::UNDEFINED if !CHECKED => break Err(Halt::UndefinedOpcode.into()),

            opcode::STOP => break Ok(Exit::Stop),
            opcode::ADD => op::arithmetic::add(&mut stack),
            opcode::MUL => op::arithmetic::mul(&mut stack),
            opcode::SUB => op::arithmetic::sub(&mut stack),
            opcode::DIV => op::arithmetic::div(&mut stack),
            opcode::SDIV => op::arithmetic::sdiv(&mut stack),
            opcode::MOD => op::arithmetic::rem(&mut stack),
            opcode::SMOD => op::arithmetic::smod(&mut stack),
            opcode::ADDMOD => op::arithmetic::addmod(&mut stack),
            opcode::MULMOD => {
                op::arithmetic::mulmod(&mut stack.apart(), &mut lane.reducer);
                stack.drop(2);
            }
            opcode::EXP => attempt!('run, op::arithmetic::exp(&mut stack, lane.schedule, &mut gas)),
            opcode::SIGNEXTEND => op::arithmetic::signextend(&mut stack),

            opcode::LT => op::comparison::lt(&mut stack),
            opcode::GT => op::comparison::gt(&mut stack),
            opcode::SLT => op::comparison::slt(&mut stack),
            opcode::SGT => op::comparison::sgt(&mut stack),
            opcode::EQ => op::comparison::eq(&mut stack),
            opcode::ISZERO => op::comparison::iszero(&mut stack),
            opcode::AND => op::bitwise::and(&mut stack),
            opcode::OR => op::bitwise::or(&mut stack),
            opcode::XOR => op::bitwise::xor(&mut stack),
            opcode::NOT => op::bitwise::not(&mut stack),
            opcode::BYTE => op::bitwise::byte(&mut stack),
            opcode::SHL => op::bitwise::shl(&mut stack),
            opcode::SHR => op::bitwise::shr(&mut stack),
            opcode::SAR => op::bitwise::sar(&mut stack),
            opcode::CLZ => op::bitwise::clz(&mut stack),

            opcode::KECCAK256 => {
                let Lane { hashes, schedule, .. } = lane;
                attempt!('run, op::keccak::keccak256(&mut stack, &mut frame.memory, hashes, schedule, &mut gas));
            }

            opcode::ADDRESS => stack.push(word::from_address(&frame.address)),
            opcode::BALANCE => {
                let (value, rest) = attempt!('run, op::environment::balance(lane, &stack.peek(0), gas));
                gas = rest;
                stack.set(0, &value);
            }
            opcode::ORIGIN => stack.push(word::from_address(&lane.transaction.origin)),
            opcode::CALLER => stack.push(word::from_address(&frame.caller)),
            opcode::CALLVALUE => stack.push(frame.value),
            opcode::CALLDATALOAD => {
                let value = op::environment::calldataload(input, &stack.peek(0));
                stack.set(0, &value);
            }
            opcode::CALLDATASIZE => stack.push(U256::from(input.len() as u64)),
            opcode::CALLDATACOPY | opcode::CODECOPY => {
                let source = if instruction.op == opcode::CALLDATACOPY { input } else { &program.code };
                let operands = [&stack.peek(0), &stack.peek(1), &stack.peek(2)];
                gas = attempt!('run, op::memory::copy(operands, source, &mut frame.memory, lane.schedule, gas));
                stack.drop(3);
            }
            opcode::CODESIZE => stack.push(U256::from(program.code.len() as u64)),
            opcode::GASPRICE => stack.push(lane.transaction.gas_price),
            opcode::EXTCODESIZE => {
                let (value, rest) = attempt!('run, op::environment::extcodesize(lane, &stack.peek(0), gas));
                gas = rest;
                stack.set(0, &value);
            }
            opcode::EXTCODECOPY => {
                let operands = [&stack.peek(0), &stack.peek(1), &stack.peek(2), &stack.peek(3)];
                gas = attempt!('run, op::environment::extcodecopy(lane, operands, &mut frame.memory, gas));
                stack.drop(4);
            }
            opcode::RETURNDATASIZE => stack.push(U256::from(frame.return_data.len() as u64)),
            opcode::RETURNDATACOPY => {
                let operands = [&stack.peek(0), &stack.peek(1), &stack.peek(2)];
                let Frame { return_data, memory, .. } = frame;
                gas = attempt!('run, op::environment::returndatacopy(lane, operands, return_data, memory, gas));
                stack.drop(3);
            }
            opcode::EXTCODEHASH => {
                let (value, rest) = attempt!('run, op::environment::extcodehash(lane, &stack.peek(0), gas));
                gas = rest;
                stack.set(0, &value);
            }

            opcode::BLOCKHASH => {
                let value = attempt!('run, op::block::blockhash(lane, &stack.peek(0)));
                stack.set(0, &value);
            }
            opcode::COINBASE => stack.push(word::from_address(&lane.environment.block.coinbase)),
            opcode::TIMESTAMP => stack.push(U256::from(lane.environment.block.timestamp)),
            opcode::NUMBER => stack.push(U256::from(lane.environment.block.number)),
            opcode::PREVRANDAO => stack.push(op::block::prevrandao(lane)),
            opcode::GASLIMIT => stack.push(U256::from(lane.environment.block.gas_limit)),
            opcode::CHAINID => stack.push(U256::from(lane.environment.rules.chain_id)),
            opcode::SELFBALANCE => stack.push(lane.journal.account(frame.account).info.balance),
            opcode::BASEFEE => stack.push(lane.environment.block.base_fee),
            opcode::BLOBHASH => {
                let value = op::block::blobhash(lane, &stack.peek(0));
                stack.set(0, &value);
            }
            opcode::BLOBBASEFEE => stack.push(lane.environment.block.blob_base_fee),
            opcode::SLOTNUM => stack.push(U256::from(lane.environment.block.slot_number)),

            opcode::POP => stack.drop(1),
            opcode::MLOAD => attempt!('run, op::memory::mload(&mut stack, &mut frame.memory, &mut gas)),
            opcode::MSTORE => attempt!('run, op::memory::mstore(&mut stack, &mut frame.memory, &mut gas)),
            opcode::MSTORE8 => attempt!('run, op::memory::mstore8(&mut stack, &mut frame.memory, &mut gas)),
            opcode::SLOAD => {
                let (value, rest) = attempt!('run, op::storage::sload(lane, frame.account, &stack.peek(0), None, gas));
                gas = rest;
                stack.set(0, &value);
            }
            opcode::SSTORE => {
                let operands = [&stack.peek(0), &stack.peek(1)];
                gas = attempt!('run, op::storage::sstore(lane, frame, operands, gas));
                stack.drop(2);
            }
            opcode::JUMP => {
                let target = word::to_u64_saturating(&stack.peek(0)) as usize;
                let entry = if CHECKED {
                    program.is_jumpdest(target).then_some(target)
                } else {
                    program.entry(target, &lane.rows)
                };
                instructions = &program.instructions;
                let entry = attempt!('run, entry.ok_or(Halt::InvalidJump));
                stack.drop(1);
                if CHECKED {
                    go!(entry);
                } else {
                    enter!(entry);
                }
            }
            opcode::JUMPI => {
                if !op::comparison::is_zero(&stack.peek(1)) {
                    let target = word::to_u64_saturating(&stack.peek(0)) as usize;
                    let entry = if CHECKED {
                        program.is_jumpdest(target).then_some(target)
                    } else {
                        program.entry(target, &lane.rows)
                    };
                    instructions = &program.instructions;
                    go!(attempt!('run, entry.ok_or(Halt::InvalidJump)));
                }
                stack.drop(2);
            }
            opcode::PC => stack.push(U256::from(instruction.arg)),
            opcode::MSIZE => op::memory::msize(&mut stack, &frame.memory),
            opcode::GAS => stack.push(U256::from(gas)),
            opcode::JUMPDEST => {}
            opcode::TLOAD => {
                let value = lane.journal.transient(frame.account, &stack.peek(0));
                stack.set(0, &value);
            }
            opcode::TSTORE => {
                let operands = [&stack.peek(0), &stack.peek(1)];
                attempt!('run, op::storage::tstore(lane, frame.account, frame.is_static, operands));
                stack.drop(2);
            }
            opcode::MCOPY => {
                let operands = [&stack.peek(0), &stack.peek(1), &stack.peek(2)];
                gas = attempt!('run, op::memory::mcopy(operands, &mut frame.memory, lane.schedule, gas));
                stack.drop(3);
            }
            opcode::PUSH0 => stack.push(U256::zero()),
            push @ opcode::PUSH1..=opcode::PUSH32 if CHECKED => {
                let len = usize::from(push - opcode::PUSH0);
                stack.push(program.immediate(ip, len));
                ip += len;
            }
            opcode::DUP1 => stack.dup(0),
            opcode::DUP2 => stack.dup(1),
            opcode::DUP3 => stack.dup(2),
            opcode::DUP4 => stack.dup(3),
            opcode::DUP5 => stack.dup(4),
            opcode::DUP6 => stack.dup(5),
            dup @ opcode::DUP7..=opcode::DUP16 => stack.dup(usize::from(dup - opcode::DUP1)),
            opcode::SWAP1 => stack.swap(1),
            opcode::SWAP2 => stack.swap(2),
            opcode::SWAP3 => stack.swap(3),
            opcode::SWAP4 => stack.swap(4),
            swap @ opcode::SWAP5..=opcode::SWAP16 => stack.swap(usize::from(swap - opcode::SWAP1) + 1),

            opcode::DUPN => {
                stack.dup(instruction.arg as usize - 1);
                ip += usize::from(CHECKED);
            }
            opcode::SWAPN => {
                stack.swap(instruction.arg as usize);
                ip += usize::from(CHECKED);
            }
            opcode::EXCHANGE => {
                let [one, other, ..] = instruction.arg.to_le_bytes();
                stack.exchange(one.into(), other.into());
                ip += usize::from(CHECKED);
            }

            log @ opcode::LOG0..=opcode::LOG4 => {
                let count = usize::from(log - opcode::LOG0);
                let topics = op::log::topics(&stack);
                let place = [stack.peek(0), stack.peek(1)];
                gas = attempt!('run, op::log::log(lane, frame, place, &topics[..count], gas));
                stack.drop(count + 2);
            }

            opcode::CREATE | opcode::CREATE2 => {
                let operands = [&stack.peek(0), &stack.peek(1), &stack.peek(2), &stack.peek(3)];
                gas = attempt!('run, op::create::prepare(instruction.op, lane, frame, operands, gas));
                stack.drop(if instruction.op == opcode::CREATE { 3 } else { 4 });
                break Ok(Exit::Create);
            }
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                let operands = std::array::from_fn(|i| stack.peek(i));
                gas = attempt!('run, op::call::prepare(instruction.op, lane, frame, &operands, gas));
                stack.drop(op::call::operands(instruction.op));
                break Ok(Exit::Call);
            }
            opcode::RETURN | opcode::REVERT => {
                let place = [&stack.peek(0), &stack.peek(1)];
                let (offset, len, rest) = attempt!('run, op::control::output(frame, place, gas));
                gas = rest;
                break Ok(if instruction.op == opcode::RETURN {
                    Exit::Return(offset, len)
                } else {
                    Exit::Revert(offset, len)
                });
            }
            opcode::INVALID => break Err(Halt::InvalidOpcode.into()),
            opcode::SELFDESTRUCT => {
                gas = attempt!('run, op::control::selfdestruct(lane, frame, &stack.peek(0), gas));
                break Ok(Exit::Stop);
            }
            _ => break Err(Halt::UndefinedOpcode.into()),
        }
        if H::WATCHED {
            hook.step_end(lane, gas, None);
        }
        ip = ip.wrapping_add(1);
    };

    let end = if CHECKED { end.map_err(|trap| lane.place(trap, frame.address, ip)) } else { end };
    if H::WATCHED {
        hook.step_end(lane, gas, Some(&end));
    }
    frame.stack_len = stack.len();
    frame.gas = gas;
    match end {
        Ok(Exit::Checked) => Exit::Checked,
        Ok(exit) => {
            frame.position = ip + 1;
            exit
        }
        Err(Trap::State(error)) => Exit::State(error),
        Err(Trap::Halt(halt)) if CHECKED => Exit::Halt(halt),
        Err(Trap::Halt(_)) => {
            // Again from this instruction, with the gas that it really has.
            let (own, rest, steps) = program.rest_of_block(ip, &lane.rows);
            frame.gas += own + rest;
            lane.steps -= steps + 1;
            frame.position = program.position(ip);
            Exit::Checked
        }
    }
}

/// Readies a frame whose code is already set.
pub(crate) fn enter(lane: &Lane, frame: &mut Frame, program: &mut Program) {
    frame.position = program.start(&lane.rows);
}
