//! Generated programs in environments with permissions and budgets that cut them somewhere in the middle.
//!
//! The programs are the generator's own; what restricts them is drawn from another stream, after a look at what the
//! program does without it: the budget is below what it uses, the opcode that is denied is one that it executes.

use super::alike;
use super::case::{Case, PEERS, Restriction};
use super::code::Code;
use super::generate::random::Random;
use super::generate::{Generator, world};
use super::run::Executed;
use crate::convert::keccak;
use alloy_sol_types::SolCall;
use isolane_cpu::exchange::abi::IExchange;
use isolane_cpu::observer::{Enter, Step, StepEnd};
use isolane_cpu::precompile::Precompile;
use isolane_cpu::{Available, Machine, Observer};
use isolane_spec::lane::{BUDGETS, RULES};
use isolane_spec::opcode::op;
use isolane_spec::permission::{AddressRule, Level, Permissions};
use isolane_spec::{
    AccountInfo, Budget, BudgetKind, EXCHANGE_ADDRESS, EnvironmentId, H160, Halt, InvalidTransaction, Log, Rule,
    Status, U256,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One restricted program for so many programs of a run.
pub const EVERY: u64 = 16;
/// One program in so many has copies, so that there are groups of the same code with the same restriction.
const COPIED: u64 = 8;
/// Copies of such a program.
const COPIES: u64 = 10;
/// Messages that a program sends, if it sends any.
const MESSAGES: u64 = 3;

/// What a program does where nothing restricts it.
#[derive(Default)]
struct Profile {
    steps: u64,
    /// Bytes of memory of the frames that run, and the most that all of them had.
    memories: Vec<usize>,
    memory: usize,
    depth: usize,
    slots: u64,
    log_bytes: u64,
    logs: u64,
    creates: bool,
    calls: bool,
    value: bool,
    opcodes: BTreeSet<u8>,
    callees: BTreeSet<H160>,
    precompiles: BTreeSet<H160>,
    delegates: bool,
}

impl Observer for Profile {
    fn step(&mut self, step: &Step<'_>) {
        self.steps += 1;
        self.memories.resize(step.depth, 0);
        if let Some(memory) = self.memories.last_mut() {
            *memory = step.memory.len();
        }
        self.memory = self.memory.max(self.memories.iter().sum());
    }

    fn step_end(&mut self, end: &StepEnd) {
        if end.halt.is_none() {
            self.opcodes.insert(end.opcode);
            self.slots += u64::from(end.opcode == op::SSTORE);
        }
    }

    fn enter(&mut self, enter: &Enter<'_>) {
        self.depth = self.depth.max(enter.depth - 1);
        self.value |= !enter.value.is_zero();
        self.creates |= enter.kind.is_create();
        self.delegates |= !enter.kind.is_create() && enter.code_address != enter.to;
        if enter.precompile {
            self.precompiles.insert(enter.code_address);
        } else if !enter.kind.is_create() {
            self.callees.insert(enter.to);
            self.calls |= enter.depth > 1;
        }
    }

    fn log(&mut self, log: &Log) {
        self.logs += 1;
        self.log_bytes += log.data.len() as u64;
    }
}

impl Profile {
    fn of(case: &Case) -> Self {
        let environment = case.environment();
        let mut available = Available::of(&environment);
        let mut machine = Machine::new(environment);
        let mut profile = Self::default();
        for transaction in &case.transactions {
            let result = machine.transact_observed(transaction, available, &mut profile);
            available = available.after(&result, transaction);
            if result.is_err() {
                break;
            }
            profile.delegates |= !transaction.authorization_list.is_empty();
        }
        profile
    }
}

/// What cuts a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Level,
    Senders,
    Callees,
    OnlyCallees,
    Calls,
    Create,
    Logs,
    Value,
    Delegations,
    State,
    Opcodes,
    Precompiles,
    Steps,
    Memory,
    Depth,
    Slots,
    LogBytes,
    Gas,
    Messages,
}

impl Cut {
    const ALL: [Self; 19] = [
        Self::Level,
        Self::Senders,
        Self::Callees,
        Self::OnlyCallees,
        Self::Calls,
        Self::Create,
        Self::Logs,
        Self::Value,
        Self::Delegations,
        Self::State,
        Self::Opcodes,
        Self::Precompiles,
        Self::Steps,
        Self::Memory,
        Self::Depth,
        Self::Slots,
        Self::LogBytes,
        Self::Gas,
        Self::Messages,
    ];

    /// Whether the program does what this is about.
    fn applies(self, profile: &Profile) -> bool {
        match self {
            Self::Level | Self::Senders | Self::Gas | Self::Messages => true,
            Self::Callees | Self::OnlyCallees => !profile.callees.is_empty(),
            Self::Calls => profile.calls,
            Self::Create => profile.creates,
            Self::Logs => profile.logs > 0,
            Self::Value => profile.value,
            Self::Delegations => profile.delegates,
            Self::State => [op::SSTORE, op::TSTORE, op::SELFDESTRUCT].iter().any(|it| profile.opcodes.contains(it)),
            Self::Opcodes | Self::Steps => profile.steps > 0,
            Self::Precompiles => !profile.precompiles.is_empty(),
            Self::Memory => profile.memory > 0,
            Self::Depth => profile.depth > 0,
            Self::Slots => profile.slots > 0,
            Self::LogBytes => profile.log_bytes > 0,
        }
    }

    fn apply(self, random: &mut Random, profile: &Profile, case: &mut Case, restriction: &mut Restriction) {
        let Restriction { permissions, budget, messaging } = restriction;
        match self {
            Self::Level => {
                *permissions = Permissions::level(random.pick(&[Level::Standard, Level::ComputeOnly, Level::ReadOnly]));
            }
            Self::Senders => {
                let sender = case.transactions.last().map_or(world::NOBODY, |transaction| transaction.sender);
                permissions.senders = match random.below(3) {
                    0 => AddressRule::only([world::sender(0), world::RICH]),
                    1 => AddressRule::except([sender]),
                    _ => AddressRule { except: [sender].into(), ..AddressRule::only([sender, world::sender(0)]) },
                };
            }
            Self::Callees => permissions.callees = AddressRule::except(chosen(random, &profile.callees)),
            Self::OnlyCallees => {
                let to = case.transactions.iter().filter_map(|transaction| transaction.to);
                permissions.callees = AddressRule::only(to.chain(chosen(random, &profile.callees)));
            }
            Self::Calls => permissions.calls = false,
            Self::Create => permissions.create = false,
            Self::Logs => permissions.logs = false,
            Self::Value => permissions.value = false,
            Self::Delegations => permissions.delegations = false,
            Self::State => permissions.state = false,
            Self::Opcodes => {
                let denied = chosen(random, &profile.opcodes);
                permissions.denied_opcodes =
                    denied.into_iter().fold(permissions.denied_opcodes, |set, it| set.with(it));
            }
            Self::Precompiles => {
                for address in chosen(random, &profile.precompiles) {
                    if let Some(precompile) = Precompile::at(address, case.rules.fork) {
                        permissions.denied_precompiles = permissions.denied_precompiles.with(precompile);
                    }
                }
            }
            Self::Steps => budget.steps = random.between(0, profile.steps),
            Self::Memory => budget.memory = random.between(0, profile.memory as u64),
            Self::Depth => budget.call_depth = random.below(profile.depth + 1) as u32,
            Self::Slots => budget.slots = random.between(0, profile.slots),
            Self::LogBytes => budget.log_bytes = random.between(0, profile.log_bytes),
            Self::Gas => {
                let limit = case.transactions.last().map_or(0, |transaction| transaction.gas_limit);
                budget.gas = limit.saturating_sub(random.between(0, 2));
            }
            Self::Messages => {
                *messaging = true;
                send_messages(random, case);
                match random.below(3) {
                    0 => permissions.messages = false,
                    _ => budget.messages = random.between(0, MESSAGES),
                }
            }
        }
    }
}

/// One of a set, or some.
fn chosen<T: Copy + Ord>(random: &mut Random, set: &BTreeSet<T>) -> Vec<T> {
    let list: Vec<T> = set.iter().copied().collect();
    let Some(first) = (!list.is_empty()).then(|| random.pick(&list)) else { return Vec::new() };
    if random.chance(700) {
        return vec![first];
    }
    list.into_iter().filter(|item| *item == first || random.chance(200)).collect()
}

/// Makes the last transaction call the exchange, or a contract that does so a few times.
fn send_messages(random: &mut Random, case: &mut Case) {
    let destination = EnvironmentId::new(PEERS[1]).map(|id| id.0.0).unwrap_or_default();
    let input = IExchange::sendCall {
        destination: destination.into(),
        to: world::RICH.0.into(),
        asset: Default::default(),
        value: Default::default(),
        gasLimit: 1000,
        timeout: u64::MAX,
        refund: Default::default(),
        data: random.bytes(40).into(),
    }
    .abi_encode();
    let direct = random.chance(300);
    let Some(transaction) = case.transactions.last_mut() else { return };
    let Some(gas_limit) = (transaction.to.is_some()).then_some(1_500_000) else { return };
    transaction.gas_limit = gas_limit;
    let state = Arc::make_mut(&mut case.state);
    let sender = state.accounts.entry(transaction.sender).or_default();
    sender.info.balance = sender.info.balance.max(U256::exp10(30));
    if direct {
        (transaction.to, transaction.value, transaction.input) = (Some(EXCHANGE_ADDRESS), U256::zero(), input.into());
        return;
    }
    let mut code = Code::new(case.rules.fork);
    let len = U256::from(input.len());
    let data = code.add_data(input);
    code.push(len).push_label(data).push(0.into()).op(op::CODECOPY);
    for message in 0..MESSAGES {
        // Out, in, value, to, gas; whether it worked is kept.
        code.push(0.into()).push(0.into()).push(len).push(0.into()).push(0.into());
        code.push_address(EXCHANGE_ADDRESS).push(300_000.into()).op(op::CALL);
        code.push(message.into()).op(op::SSTORE);
    }
    code.op(op::STOP);
    let code = code.finish();
    let info = AccountInfo { nonce: 1, code_hash: keccak(&code), ..AccountInfo::default() };
    state.insert(world::contract(3), info, code, []);
    (transaction.to, transaction.value) = (Some(world::contract(3)), U256::zero());
}

/// The program with this index in an environment that restricts it; some with copies that have other inputs.
#[must_use]
pub fn restricted(generator: &Generator, seed: u64, index: u64) -> Vec<Case> {
    let mut case = generator.case(index);
    case.name = format!("restricted {}", case.name);
    let copied = index % COPIED == COPIED - 1;
    if copied {
        case.transactions.truncate(1);
    }
    let mut random = Random::new(seed ^ 0x0707, index);
    let profile = Profile::of(&case);
    let cuts: Vec<Cut> = Cut::ALL.into_iter().filter(|cut| cut.applies(&profile)).collect();
    let mut restriction = Restriction::default();
    let count = if random.chance(300) { 2 } else { 1 };
    let mut drawn: Vec<Cut> = (0..count).map(|_| random.pick(&cuts)).collect();
    // A level replaces all permissions.
    drawn.sort_unstable_by_key(|cut| *cut != Cut::Level);
    for cut in drawn {
        cut.apply(&mut random, &profile, &mut case, &mut restriction);
    }
    case.setting.restriction = Some(Arc::new(restriction));
    let mut cases = vec![case.clone()];
    if let Some(original) = case.transactions.first().filter(|_| copied) {
        for copy in 1..COPIES {
            let name = format!("{} copy {copy}", case.name);
            cases.push(Case { name, transactions: vec![alike::changed(&mut random, original)], ..case.clone() });
        }
    }
    cases
}

/// How often which restriction cut a transaction short.
#[derive(Clone, Debug, Default)]
pub struct Restrictions {
    /// First denials of transactions, by rule.
    pub denials: BTreeMap<Rule, u64>,
    /// Budgets that ran out.
    pub budgets: BTreeMap<BudgetKind, u64>,
    /// Transactions that asked for more gas than the budget.
    pub gas: u64,
    /// Transactions that nothing cut.
    pub whole: u64,
}

impl Restrictions {
    /// Counts the result of a transaction.
    pub fn count(&mut self, environment: &Restriction, result: &Executed) {
        let Ok(outcome) = result else { return };
        match (&outcome.denial, &outcome.status) {
            (Some(denial), _) => *self.denials.entry(denial.rule).or_default() += 1,
            (None, Status::Halt(Halt::BudgetExceeded { kind, .. })) => *self.budgets.entry(*kind).or_default() += 1,
            (None, Status::Rejected(InvalidTransaction::GasLimitAboveCap { cap, .. }))
                if environment.budget.gas != Budget::UNLIMITED.gas && *cap == environment.budget.gas =>
            {
                self.gas += 1;
            }
            _ => self.whole += 1,
        }
    }

    /// The rules and budgets with their names, and how often they cut.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let rules = RULES.iter().map(|rule| (format!("{rule:?}"), self.denials.get(rule).copied().unwrap_or_default()));
        let budgets = BUDGETS
            .iter()
            .map(|kind| (format!("budget {kind:?}"), self.budgets.get(kind).copied().unwrap_or_default()));
        rules.chain(budgets).chain([("budget Gas".to_owned(), self.gas)]).collect()
    }

    /// What nothing ran into.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.counts().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }

    /// All transactions.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.whole + self.counts().iter().map(|(_, count)| count).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::case::batch;
    use isolane_cpu::Reference;
    use isolane_spec::{Backend, Fork};

    #[test]
    fn every_rule_and_every_budget_cuts() {
        let generator = Generator::new(4, &Fork::ALL);
        let mut restrictions = Restrictions::default();
        for index in 0..1500 {
            let cases = restricted(&generator, 4, index);
            for case in &cases {
                let restriction = case.setting.restriction.as_ref().expect("a restriction");
                for result in Reference.execute(&batch(std::slice::from_ref(case))) {
                    restrictions.count(restriction, &result);
                }
            }
        }
        println!("{:?}, {} of {} are not cut", restrictions.counts(), restrictions.whole, restrictions.transactions());
        assert_eq!(restrictions.missing(), Vec::<String>::new());
        assert!(restrictions.whole * 2 < restrictions.transactions(), "{restrictions:?}");
        assert!(restrictions.whole * 10 > restrictions.transactions(), "{restrictions:?}");
    }

    /// The program is the generator's own, but for what sends messages.
    #[test]
    fn programs_stay_what_they_are() {
        let generator = Generator::new(4, &Fork::ALL);
        for index in (0..200).filter(|index| index % COPIED != COPIED - 1) {
            let case = generator.case(index);
            let [restricted] = restricted(&generator, 4, index).try_into().expect("one");
            if !restricted.setting.restriction.as_ref().is_some_and(|restriction| restriction.messaging) {
                assert_eq!(case.transactions, restricted.transactions);
                assert_eq!(case.block, restricted.block);
            }
        }
    }
}
