//! Statements that reach other accounts: calls, creations, precompiles.

use super::program::{Role, Writer};
use super::{precompile, world};
use isolane_spec::gas::SCHEDULES;
use isolane_spec::opcode::op;
use isolane_spec::{Bytes, Fork, H160, U256};

/// Bytes of code and of initcode beyond which the fork refuses them (EIP-170, EIP-3860); before there is a limit, some
/// that are about as costly.
fn limits(fork: Fork) -> (u64, u64) {
    let schedule = &SCHEDULES[fork as usize];
    let limit = |limit: u32| if limit == u32::MAX { 24_576 } else { u64::from(limit) };
    (limit(schedule.max_code_size), limit(schedule.max_initcode_size))
}

impl Writer<'_> {
    /// A call of any kind to any account.
    pub(super) fn call(&mut self) {
        let kind = self.call_kind();
        self.length();
        self.offset();
        self.length();
        self.offset();
        self.call_value(kind);
        self.callee();
        self.call_gas();
        self.op(kind);
        self.after_call();
    }

    fn call_kind(&mut self) -> u8 {
        let kind = self.random.pick(&[op::CALL, op::CALL, op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL]);
        if self.has(kind) { kind } else { op::CALL }
    }

    fn call_value(&mut self, kind: u8) {
        if kind == op::CALL || kind == op::CALLCODE {
            let value = match self.random.below(20) {
                0 => self.random.word(),
                1..=3 => 1.into(),
                4 => self.random.between(0, 1 << 20).into(),
                _ => U256::zero(),
            };
            self.push(value);
        }
    }

    fn callee(&mut self) {
        let own = match self.role {
            Role::Contract(index) => index,
            _ => world::CONTRACTS,
        };
        if own + 1 < world::CONTRACTS && self.random.chance(600) {
            let next = own + 1 + self.random.below(world::CONTRACTS - own - 1);
            self.push_address(world::contract(next));
        } else if self.random.chance(250) {
            let index = self.random.below(world::CONTRACTS);
            self.push_address(world::contract(index));
        } else {
            self.account();
        }
    }

    fn call_gas(&mut self) {
        let before_eip_150 = self.fork < Fork::TangerineWhistle;
        match self.random.below(20) {
            0 | 1 => {
                let starved = self.random.between(0, 3000);
                self.push(starved);
            }
            2..=4 => {
                let some = self.random.between(0, 60_000);
                self.push(some);
            }
            5 if self.random.chance(300) => {
                let any = self.random.word();
                self.push(any);
            }
            6..=8 if !before_eip_150 => self.leave(20_000),
            _ if before_eip_150 => self.leave(30_000),
            _ => self.op(op::GAS),
        }
    }

    /// All gas but this much: before EIP-150 a call that asks for more than there is fails.
    fn leave(&mut self, gas: u64) {
        self.push(gas);
        self.op(op::GAS);
        self.op(op::SUB);
    }

    /// What becomes of the result, and of the return data.
    fn after_call(&mut self) {
        match self.random.below(10) {
            0..=3 => self.op(op::POP),
            4 | 5 => {
                self.push(32 * 9);
                self.op(op::MSTORE);
            }
            6 | 7 => {
                let key = self.random.below(4);
                self.push(key);
                self.op(op::SSTORE);
            }
            _ => {}
        }
        if self.has(op::RETURNDATASIZE) && self.random.chance(400) {
            self.op(op::RETURNDATASIZE);
            self.push(0);
            self.offset();
            self.op(op::RETURNDATACOPY);
        }
    }

    /// A call of a precompile with an input that is mostly right.
    pub(super) fn call_precompile(&mut self) {
        let address = world::precompile(self.random, self.fork);
        let share = precompile::share(address);
        if !self.random.chance(share) {
            // Enough of them run as it is, and they take longer than everything else.
            return self.call();
        }
        let input = precompile::input(self.random, address);
        self.call_with(address, input);
    }

    fn call_with(&mut self, address: H160, input: Vec<u8>) {
        let len = input.len();
        let data = self.code.add_data(input);
        self.push(len);
        self.push_label(data);
        self.push(0);
        self.op(op::CODECOPY);
        let kind = self.call_kind();
        let out = 32 * self.random.below(9);
        self.push(out);
        self.push(0);
        self.push(len);
        self.push(0);
        self.call_value(kind);
        self.push_address(address);
        if self.random.chance(120) {
            let starved = self.random.between(0, 700);
            self.push(starved);
        } else {
            self.call_gas();
        }
        self.op(kind);
        self.after_call();
    }

    /// A creation, and perhaps a call of what it created.
    pub(super) fn create(&mut self) {
        if self.level >= 2 {
            return self.call();
        }
        let second = self.has(op::CREATE2) && self.random.chance(500);
        let initcode = self.initcode();
        let len = initcode.len();
        let data = self.code.add_data(initcode.into());
        self.push(len);
        self.push_label(data);
        self.push(0);
        self.op(op::CODECOPY);
        // Twice the same with CREATE2 is a collision, unless the first failed or destroyed itself.
        let times = if second && self.random.chance(250) { 2 } else { 1 };
        let salt = self.random.below(2);
        for _ in 0..times {
            if second {
                self.push(salt);
            }
            let too_much = self.random.chance(45);
            self.push(if too_much { limits(self.fork).1 + 1 } else { len as u64 });
            self.push(0);
            let value = if self.random.chance(900) { U256::zero() } else { self.random.word() };
            self.push(value);
            self.op(if second { op::CREATE2 } else { op::CREATE });
            self.after_create();
        }
    }

    fn after_create(&mut self) {
        match self.random.below(6) {
            0 => self.op(op::POP),
            1 | 2 => {
                let key = self.random.below(4);
                self.push(key);
                self.op(op::SSTORE);
            }
            3 => {
                self.op(op::DUP1);
                self.op(op::EXTCODEHASH);
            }
            _ => {
                // [address] -> [success]
                (0..5).for_each(|_| self.push(0));
                self.op(op::DUP1 + 5);
                if self.fork < Fork::TangerineWhistle {
                    self.leave(30_000)
                } else {
                    self.op(op::GAS)
                }
                self.op(op::CALL);
                self.op(op::SWAP1);
                self.op(op::POP);
            }
        }
    }

    /// Initcode for everything that can come of it.
    pub(super) fn initcode(&mut self) -> Bytes {
        let level = self.level + 1;
        let fork = self.fork;
        let random = &mut *self.random;
        let choice = random.below(20);
        let statements = random.below(3);
        let mut init = Writer::new(random, fork, Role::Init, level);
        match choice {
            0 => return Bytes::new(),
            1 => {
                // Code that starts with 0xef (EIP-3541).
                init.push(0xef);
                init.push(0);
                init.op(op::MSTORE8);
                let len = 1 + init.random.below(30);
                init.push(len);
                init.push(0);
                init.op(op::RETURN);
            }
            2 => {
                let len = limits(fork).0 + u64::from(init.random.chance(700));
                init.push(len);
                init.push(0);
                init.op(op::RETURN);
            }
            3 => {
                init.account();
                init.op(op::SELFDESTRUCT);
            }
            4..=6 => return init.body(statements + 1),
            _ => {
                for _ in 0..statements {
                    init.statement();
                }
                let deployed = match init.random.below(4) {
                    0 => vec![op::CALLER, op::SELFDESTRUCT].into(),
                    _ => {
                        let count = 1 + init.random.below(2);
                        Writer::new(init.random, fork, Role::Deployed, level + 1).body(count)
                    }
                };
                let len = deployed.len();
                let data = init.code.add_data(deployed.into());
                init.push(len);
                init.push_label(data);
                init.push(0);
                init.op(op::CODECOPY);
                init.push(len);
                init.push(0);
                init.op(op::RETURN);
            }
        }
        init.code.finish()
    }
}
