//! Creations: how their frames start, and what becomes of the code that initcode returns.

use crate::create_address::{create_address, create2_address};
use crate::crypto;
use crate::execution::{DEPTH_LIMIT, End, Ended, Executor};
use crate::frame::{Code, FrameKind, Input};
use crate::interpreter;
use crate::journal::AccountIndex;
use crate::lane::Lane;
use crate::observer::CallKind;
use crate::program::Program;
use crate::state_gas::FrameStateGas;
use crate::watch::{Creation, Hook};
use isolane_spec::{Bytes, Fork, H160, Halt, StateError, U256};

impl Executor {
    /// Starts a creation from outside. The sender's nonce is already raised; `nonce` is the one before. `None`: the first
    /// frame was started, and is to be run.
    pub fn open_create<H: Hook>(
        &mut self,
        creator: AccountIndex,
        nonce: u64,
        value: U256,
        init_code: Bytes,
        gas: u64,
        hook: &mut H,
    ) -> Result<Option<Ended>, StateError> {
        self.output.clear();
        let caller = self.lane.journal.account(creator).address;
        let address = create_address(&caller, nonce);
        hook.create(
            &self.lane,
            &Creation { kind: CallKind::Create, caller, address, value, gas, init_code: &init_code },
        );
        let ended = self.start_create(0, creator, address, value, init_code, gas)?;
        if let Some(ended) = &ended {
            hook.exit(&self.lane, ended, &[]);
        }
        Ok(ended)
    }

    /// A creation by the frame at `depth`. `None`: a frame was started.
    pub fn nested_create(&mut self, depth: usize) -> Result<Option<Ended>, StateError> {
        let request = self.lane.creation;
        self.frames[depth].return_data.clear();
        let account = self.frames[depth].account;
        let info = self.lane.journal.account(account).info;
        if info.balance < request.value || info.nonce == u64::MAX || depth == DEPTH_LIMIT {
            return Ok(Some(Ended::new(End::Halt(Halt::CallRefused), request.gas)));
        }
        if let Some(halt) = self.too_deep(depth) {
            return Ok(Some(Ended::halt(halt)));
        }
        let (offset, len) = request.init_code;
        let creator = &self.frames[depth];
        let init_code = Bytes::copy_from_slice(creator.memory.slice(offset, len));
        let address = match request.salt {
            None => create_address(&creator.address, info.nonce),
            Some(salt) => create2_address(&creator.address, &salt, &crypto::keccak256(&init_code)),
        };
        self.lane.journal.set_nonce(account, info.nonce + 1);
        self.start_create(depth + 1, account, address, request.value, init_code, request.gas)
    }

    fn start_create(
        &mut self,
        depth: usize,
        creator: AccountIndex,
        address: H160,
        value: U256,
        init_code: Bytes,
        gas: u64,
    ) -> Result<Option<Ended>, StateError> {
        let Lane { journal, fork, environment, .. } = &mut self.lane;
        let state = &*environment.state;
        let account = journal.load(&address, state)?;
        if *fork >= Fork::Berlin {
            journal.warm(account);
        }
        if journal.collides(account, state)? {
            return Ok(Some(Ended::halt(Halt::CreateCollision)));
        }
        let checkpoint = journal.checkpoint();
        journal.mark_created(account);
        if *fork >= Fork::SpuriousDragon {
            journal.set_nonce(account, 1);
        }
        journal.transfer(creator, account, &value);
        self.lane.log_transfer(creator, account, &value);
        let caller = self.lane.journal.account(creator).address;
        let mut program = Program::new(init_code, &self.lane.rows);
        let frame = self.frame(depth);
        frame.kind = FrameKind::Create;
        frame.input = Input::None;
        frame.address = address;
        frame.account = account;
        frame.caller = caller;
        frame.value = value;
        frame.is_static = false;
        frame.checkpoint = checkpoint;
        frame.gas = gas;
        interpreter::enter(&self.lane, &mut self.frames[depth], &mut program);
        self.frames[depth].code = Code::Own(Box::new(program));
        Ok(None)
    }
}

/// What became of the code that initcode returned.
pub(crate) struct Deposit {
    /// The gas that is left.
    pub gas: u64,
    /// Whether the account has it.
    pub stored: bool,
}

/// Stores the code that initcode returned.
pub(crate) fn deposit(
    lane: &mut Lane,
    account: AccountIndex,
    state_gas: &mut FrameStateGas,
    code: &[u8],
    gas: u64,
) -> Result<Deposit, Halt> {
    if lane.fork >= Fork::London && code.first() == Some(&0xef) {
        return Err(Halt::CodeStartsWithEf);
    }
    if code.len() > lane.schedule.max_code_size as usize {
        return Err(Halt::CodeTooLarge);
    }
    let length = code.len() as u64;
    let cost = length * u64::from(lane.schedule.code_deposit_byte)
        + length.div_ceil(32) * u64::from(lane.schedule.code_deposit_word);
    let Some(mut rest) = gas.checked_sub(cost) else {
        // Frontier keeps the account without code and the gas (EIP-2).
        return if lane.fork < Fork::Homestead { Ok(Deposit { gas, stored: false }) } else { Err(Halt::OutOfGas) };
    };
    let state_cost = length * lane.state_gas.code_byte;
    lane.state_gas.charge(state_gas, state_cost, &mut rest).map_err(|_| Halt::OutOfGas)?;
    if !code.is_empty() {
        lane.journal.set_code(account, Bytes::copy_from_slice(code), crypto::keccak256(code));
    }
    Ok(Deposit { gas: rest, stored: true })
}
