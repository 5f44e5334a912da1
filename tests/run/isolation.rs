//! What one environment does, another one does not feel.

use super::world::{COUNTER, LOGGER, LOOPER, account, engine, example, read, run, transaction};
use isolane::convert::keccak;
use isolane::cpu::Reference;
use isolane::engine::{Cause, Engine, EngineConfig, EnvironmentConfig, StartState, Submission, Violation};
use isolane::spec::{
    AccountInfo, Backend as _, Batch, BlockContext, Bytes, Environment, Fork, H160, H256, MemoryState, Order, Outcome,
    Rules, StateError, StateView, Transaction, U256,
};
use std::sync::Arc;

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// An environment with the contracts that the tests call.
fn environment(name: &str, more: &str) -> String {
    format!(
        "[environment.{name}]\nfork = \"prague\"\n{more}\n[environment.{name}.accounts]\n{} = {{ balance = \"1 ether\" }}\n\
         {COUNTER} = {{ code = \"0x600054600101600055\" }}\n{LOOPER} = {{ code = \"0x5b600056\" }}\n\
         {LOGGER} = {{ code = \"0x60406000a0\" }}\n",
        account(0)
    )
}

fn call(text: &mut String, name: &str, to: &str, gas: u64) {
    transaction(text, name, &[("from", quoted(&account(0))), ("to", quoted(to)), ("gas", gas.to_string())]);
}

fn counter(engine: &Engine, name: &str) -> u64 {
    let address = COUNTER.parse().expect("an address");
    engine.state(name).expect("an environment").storage(&address, &U256::zero()).expect("a slot").low_u64()
}

/// All outcomes of an environment, by the number of the transaction.
fn outcomes(engine: &mut Engine, name: &str) -> Vec<Outcome> {
    let mut found = Vec::new();
    for report in run(engine, 500) {
        let environment = report.environments.into_iter().find(|e| e.name == name).expect("it is there");
        for execution in environment.executions {
            assert_eq!(execution.index, found.len() as u64, "in order");
            found.push(execution.result.expect("an outcome"));
        }
    }
    found
}

/// Three honest tenants compute the same, to the last bit, with and without the abusive one.
#[test]
fn honest_tenants_do_not_feel_an_abusive_one() {
    let with = || read(&example("tenants"));
    let mut abusers = with().engine().expect("an engine");
    run(&mut abusers, 500);
    let stats = abusers.stats("mallory").expect("mallory");
    for budget in ["Steps", "Memory", "CallDepth", "LogBytes", "Slots"] {
        assert!(stats.exceeded.contains_key(budget), "mallory never exceeded {budget}: {:?}", stats.exceeded);
    }
    for name in ["gold", "silver", "bronze"] {
        let mut without = with();
        without.config.environments.retain(|environment| environment.name != "mallory");
        without.submissions.retain(|(environment, _)| environment != "mallory");
        let mut alone = with();
        alone.config.environments.retain(|environment| environment.name == name);
        alone.submissions.retain(|(environment, _)| environment == name);
        let crowd = outcomes(&mut with().engine().expect("an engine"), name);
        assert!(crowd.len() >= 600);
        assert_eq!(outcomes(&mut without.engine().expect("an engine"), name), crowd, "{name} without mallory");
        assert_eq!(outcomes(&mut alone.engine().expect("an engine"), name), crowd, "{name} alone");
        let stats = abusers.stats(name).expect("a tenant");
        assert_eq!(stats.late_epochs, 0, "{name}");
        let share = stats.fairness().expect("contention");
        assert!((0.95..=1.05).contains(&share), "{name} got {share} of its share");
    }
}

#[test]
fn a_violation_rolls_back_only_its_own_environment() {
    let limits = "budget = { transaction = { steps = 1000 } }\nschedule = { on_violation = \"fail-environment\" }";
    let mut text = environment("bad", limits) + &environment("good", "");
    for name in ["bad", "good"] {
        for to in [COUNTER, COUNTER, LOOPER, COUNTER] {
            call(&mut text, name, to, 100_000);
        }
    }
    let mut engine = engine(&text);
    let report = engine.step().expect("an epoch");
    let [bad, good] = &report.environments[..] else { panic!("two environments") };
    let Some(Cause::Violation { index: 2, violation: Violation::Budget { at, .. } }) = &bad.rolled_back else {
        panic!("{:?}", bad.rolled_back)
    };
    assert_eq!(*at, 1000, "cut at the step");
    assert_eq!((bad.executions.len(), counter(&engine, "bad")), (3, 0), "what came before it is gone");
    assert_eq!((good.rolled_back.is_none(), good.executions.len(), counter(&engine, "good")), (true, 4, 3));
    engine.step().expect("an epoch");
    assert_eq!(counter(&engine, "bad"), 1, "the next epoch goes on behind the violation");
    assert!(engine.is_idle());
}

/// The deliveries of an epoch outlive the roll-back of what follows them.
#[test]
fn a_roll_back_keeps_what_others_sent() {
    let allow = "allow = { send_to = \"all\", receive_from = \"all\" }";
    let limits = "budget = { transaction = { steps = 1000 } }\nschedule = { on_violation = \"fail-environment\" }";
    let mut text = environment("a", allow) + &environment("b", &format!("{allow}\n{limits}"));
    let arguments = format!("[\"b\", \"{COUNTER}\", \"a\", 0, 100_000, 9, \"{}\", \"0x\"]", account(0));
    transaction(
        &mut text,
        "a",
        &[
            ("from", quoted(&account(0))),
            ("to", quoted(super::world::EXCHANGE)),
            ("function", quoted(super::world::SEND)),
            ("args", arguments),
        ],
    );
    transaction(
        &mut text,
        "b",
        &[
            ("from", quoted(&account(0))),
            ("to", quoted(LOOPER)),
            ("gas", "90000".to_owned()),
            ("epoch", "1".to_owned()),
        ],
    );
    let mut engine = engine(&text);
    let reports = run(&mut engine, 10);
    assert!(reports[1].environments[1].rolled_back.is_some());
    assert_eq!(counter(&engine, "b"), 1);
    let flow = &engine.flows().0["a"]["b"];
    assert_eq!((flow.sent, flow.delivered, flow.failed.len()), (1, 1, 0));
}

/// A state that cannot answer for one slot.
struct Holey(MemoryState);

impl StateView for Holey {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.0.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        if key.is_zero() { Err(StateError::SlotMissing(*address, *key)) } else { self.0.storage(address, key) }
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.0.has_storage(address)
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.0.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.0.block_hash(number)
    }
}

fn memory() -> MemoryState {
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(10).pow(18.into()), ..AccountInfo::default() };
    state.insert(H160::repeat_byte(1), rich, Bytes::new(), []);
    let code = Bytes::from_static(&[0x60, 0, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x55]);
    let info = AccountInfo { nonce: 1, code_hash: keccak(&code), ..AccountInfo::default() };
    state.insert(H160::repeat_byte(2), info, code, []);
    state
}

fn configured(name: &str, state: StartState) -> EnvironmentConfig {
    let block = BlockContext { number: 5, gas_limit: 30_000_000, ..BlockContext::default() };
    EnvironmentConfig::new(name, Rules::new(Fork::Cancun, 1), block, state)
}

fn count() -> Submission {
    Submission::new(Transaction {
        sender: H160::repeat_byte(1),
        to: Some(H160::repeat_byte(2)),
        gas_limit: 100_000,
        ..Transaction::default()
    })
}

fn build(environments: Vec<EnvironmentConfig>) -> Engine {
    Engine::new(EngineConfig { environments, ..EngineConfig::new(H256::zero()) }).expect("an engine")
}

#[test]
fn a_state_that_cannot_answer_halts_its_environment_alone() {
    let well = || StartState::complete(memory()).expect("tries");
    let mut engine =
        build(vec![configured("holey", StartState::view(Arc::new(Holey(memory())))), configured("well", well())]);
    for name in ["holey", "well"] {
        for _ in 0..3 {
            engine.submit(name, count()).expect("an environment");
        }
    }
    let report = engine.step().expect("an epoch");
    assert!(matches!(report.environments[0].rolled_back, Some(Cause::Error(_))));
    assert!(engine.halted("holey").expect("there").is_some_and(|error| error.contains("witness missing: slot")));
    assert_eq!(engine.pending("holey").expect("there"), 2);
    assert_eq!(report.environments[1].executions.len(), 3);
    assert!(engine.is_idle(), "what waits for a halted environment waits for ever");
}

/// The states of two environments that start from the same one are their own.
#[test]
fn a_forked_state_is_a_copy_on_write() {
    let mut first = build(vec![configured("first", StartState::complete(memory()).expect("tries"))]);
    first.submit("first", count()).expect("there");
    first.step().expect("an epoch");
    let start = first.fork_state("first").expect("there");
    let root = start.root();
    let mut second = build(vec![configured("a", start.clone()), configured("b", start.clone())]);
    second.submit("a", count()).expect("there");
    second.step().expect("an epoch");
    let slot = |engine: &Engine, name: &str| {
        engine.state(name).expect("there").storage(&H160::repeat_byte(2), &U256::zero()).expect("a slot").low_u64()
    };
    assert_eq!((slot(&first, "first"), slot(&second, "a"), slot(&second, "b")), (1, 2, 1));
    assert_eq!(second.state_root("b").expect("there"), root);
    assert_ne!(second.state_root("a").expect("there"), root);
    assert_eq!(start.root(), root);
    // The root that is kept diff by diff is that of the state as it is exported.
    let exported = second.state("a").expect("there").to_memory().expect("complete");
    assert_eq!(second.state_root("a").expect("there"), Some(isolane::trie::state_root(&exported)));
}

/// Every transaction of an independent environment starts from the same state; the engine adds nothing to what the
/// reference gives.
#[test]
fn independent_transactions_see_nothing_of_each_other() {
    let start = || StartState::complete(memory()).expect("tries");
    let mut config = configured("i", start());
    config.order = Order::Independent;
    let mut engine = build(vec![config]);
    for _ in 0..20 {
        engine.submit("i", count()).expect("there");
    }
    let before = engine.state_root("i").expect("there");
    let report = engine.step().expect("an epoch");
    assert_eq!(engine.state_root("i").expect("there"), before, "nothing lasts");
    let block = BlockContext { number: 5, gas_limit: 30_000_000, ..BlockContext::default() };
    let plain = Environment::new("i", Rules::new(Fork::Cancun, 1), block, Arc::new(memory()));
    let batch = Batch { environments: vec![plain], transactions: vec![(0, count().transaction)] };
    let expected = Reference.execute(&batch).pop().expect("one");
    assert_eq!(report.environments[0].executions.len(), 20);
    for execution in &report.environments[0].executions {
        assert_eq!(execution.result, expected);
    }
}

/// A transaction that does not fit what is left of an epoch runs in the next one, whole; only what no epoch has room for
/// is cut or rejected.
#[test]
fn what_does_not_fit_an_epoch_waits_for_the_next() {
    let mut text = environment("a", "budget = { gas = 250_000, steps = 30 }");
    for to in [COUNTER, COUNTER, COUNTER, COUNTER, LOOPER, COUNTER] {
        call(&mut text, "a", to, 100_000);
    }
    call(&mut text, "a", COUNTER, 300_000);
    let mut engine = engine(&text);
    let reports = run(&mut engine, 10);
    let shape: Vec<Vec<(u64, u64)>> = reports
        .iter()
        .map(|report| {
            let executions = report.environments[0].executions.iter();
            executions.map(|e| (e.index, e.result.as_ref().expect("an outcome").steps)).collect()
        })
        .collect();
    assert_eq!(
        shape,
        [vec![(0, 7), (1, 7), (2, 7), (3, 7)], vec![(4, 30)], vec![(5, 7), (6, 0)]],
        "steps by epoch and transaction"
    );
    assert_eq!(engine.stats("a").expect("there").exceeded["Steps"], 1);
    assert_eq!(engine.stats("a").expect("there").rejected, 1, "no epoch has 300,000 gas");
    assert_eq!(counter(&engine, "a"), 5);
}

#[test]
fn weights_decide_under_overload() {
    let mut text = "[run]\nquantum = 300_000\nepoch_gas = 7_000_000\n".to_owned();
    let weights = [("x", 4u64), ("y", 2), ("z", 1)];
    for (name, weight) in weights {
        text += &environment(name, &format!("schedule = {{ weight = {weight} }}"));
        transaction(
            &mut text,
            name,
            &[
                ("from", quoted(&account(0))),
                ("to", quoted(COUNTER)),
                ("gas", "60000".to_owned()),
                ("repeat", "1500".to_owned()),
            ],
        );
    }
    let mut engine = engine(&text);
    let reports = run(&mut engine, 4);
    assert_eq!(reports.len(), 4);
    let gas: Vec<u64> = weights.iter().map(|(name, _)| engine.stats(name).expect("there").usage.gas).collect();
    let total: u64 = gas.iter().sum();
    for ((name, weight), gas) in weights.iter().zip(&gas) {
        let due = total * weight / 7;
        assert!(gas.abs_diff(due) * 20 <= due, "{name} used {gas}, due {due}");
        assert_eq!(engine.stats(name).expect("there").late_epochs, 0);
        assert!(engine.pending(name).expect("there") > 0, "{name} was not under overload");
    }
}
