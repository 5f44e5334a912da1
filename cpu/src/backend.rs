//! [`Reference`]: the backend that every other one is compared with.

use crate::machine::{Available, Machine};
use crate::pool::with_machine;
use crate::sequence::{InParallel, Sequence};
use isolane_spec::{Backend, Batch, Environment, ExecutionError, H160, Order, Outcome, StateView, Transaction};
use rayon::prelude::*;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Executes lanes one after another on each core. Environments, and the transactions of an
/// [`Order::Independent`] environment, run in parallel on rayon's current pool; those of an [`Order::Sequential`] one
/// are executed ahead of their turn where that pays, with the same results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

/// Batches with this many transactions have states that are probably too large for the caches.
pub(crate) const COLD: usize = 2_048;
/// So many transactions of such a batch have their accounts read ahead, all of them at once: the processor then waits for several
/// reads at a time.
pub(crate) const AHEAD: usize = 32;

/// Pieces of an independent environment that a thread gets, where there are enough transactions.
const PIECES: usize = 8;

/// Takes the result of a transaction, by its index in the batch. Called from many threads.
pub(crate) type Sink<'a> = dyn Fn(usize, Result<Outcome, ExecutionError>) + Sync + 'a;

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        let mut lanes: Vec<Vec<(usize, &Transaction)>> = vec![Vec::new(); batch.environments.len()];
        for (index, (environment, transaction)) in batch.transactions.iter().enumerate() {
            if let Some(lanes) = lanes.get_mut(*environment as usize) {
                lanes.push((index, transaction));
            }
        }
        collect(batch, |sink| execute_all(batch, &lanes, sink))
    }
}

/// The results of a batch from what `work` hands to its sink; a transaction of which nothing comes has no environment.
pub(crate) fn collect(batch: &Batch, work: impl FnOnce(&Sink<'_>)) -> Vec<Result<Outcome, ExecutionError>> {
    let done: Vec<OnceLock<Result<Outcome, ExecutionError>>> =
        batch.transactions.iter().map(|_| OnceLock::new()).collect();
    work(&|index, result| {
        // Each index comes once.
        if let Some(place) = done.get(index) {
            let _ = place.set(result);
        }
    });
    let none = |(environment, _): &(u32, Transaction)| Err(ExecutionError::NoEnvironment(*environment));
    let mut results: Vec<Result<Outcome, ExecutionError>> = batch.transactions.iter().map(none).collect();
    for (index, result) in done.into_iter().enumerate().filter_map(|(index, it)| Some((index, it.into_inner()?))) {
        results[index] = result;
    }
    results
}

/// Executes some transactions of a batch, by environment.
pub(crate) fn execute_all(batch: &Batch, lanes: &[Vec<(usize, &Transaction)>], sink: &Sink<'_>) {
    // Where environments keep all threads busy, their transactions need not.
    let busy = lanes.iter().filter(|lanes| !lanes.is_empty()).count();
    let parallel = if busy < rayon::current_num_threads() { InParallel::WhereItPays } else { InParallel::Never };
    batch.environments.par_iter().zip(lanes).filter(|(_, lanes)| !lanes.is_empty()).for_each(|(environment, lanes)| {
        match environment.order {
            Order::Sequential => sequential(environment, lanes, parallel, sink),
            Order::Independent => independent(environment, lanes, sink),
        }
    });
}

/// Executes one transaction from the base state.
pub(crate) fn alone(environment: &Environment, transaction: &Transaction) -> Result<Outcome, ExecutionError> {
    contained(|| Machine::new(environment.clone()).transact(transaction, Available::of(environment)))
}

/// Each transaction starts from the state that the one before it left. After an infrastructure error the later ones
/// have no state to start from and end with the same error.
fn sequential(environment: &Environment, lanes: &[(usize, &Transaction)], parallel: InParallel, sink: &Sink<'_>) {
    let transactions: Vec<&Transaction> = lanes.iter().map(|(_, transaction)| *transaction).collect();
    let mut sequence = Sequence::new(&transactions, parallel);
    let mut available = Available::of(environment);
    let mut failed = None;
    with_machine(environment.clone(), |machine| {
        for &(index, transaction) in lanes {
            let result = match &failed {
                Some(error) => Err(ExecutionError::clone(error)),
                None => contained(|| {
                    let next = sequence.next(machine, available);
                    next.unwrap_or_else(|| Err(ExecutionError::Panic("a transaction was lost".to_owned())))
                }),
            };
            available = available.after(&result, transaction);
            if let Err(error) = &result {
                failed = Some(error.clone());
            }
            sink(index, result);
        }
        if matches!(failed, Some(ExecutionError::Panic(_))) {
            // What the panic left behind is not to be trusted.
            *machine = Machine::new(environment.clone());
        }
    });
}

/// Each transaction starts from the base state.
fn independent(environment: &Environment, lanes: &[(usize, &Transaction)], sink: &Sink<'_>) {
    let available = Available::of(environment);
    let cold = lanes.len() >= COLD && environment.state.is_near();
    // Some for each thread, so that they end at about the same time.
    let piece = (lanes.len() / (PIECES * rayon::current_num_threads())).clamp(1, AHEAD);
    lanes.par_chunks(piece).for_each(|lanes| {
        if cold {
            let accounts =
                lanes.iter().flat_map(|(_, transaction)| [Some(&transaction.sender), transaction.to.as_ref()]);
            read_ahead(&*environment.state, accounts.flatten());
        }
        // A kept machine has kept the code that it decoded, too: small batches of the same calls come again and again.
        with_machine(environment.clone(), |machine| {
            for &(index, transaction) in lanes {
                let result = contained(|| {
                    machine.rewind();
                    machine.transact(transaction, available)
                });
                if matches!(result, Err(ExecutionError::Panic(_))) {
                    // What the panic left behind is not to be trusted.
                    *machine = Machine::new(environment.clone());
                }
                sink(index, result);
            }
        });
    });
}

/// Brings accounts into the processor's caches.
pub(crate) fn read_ahead<'a>(state: &dyn StateView, accounts: impl Iterator<Item = &'a H160>) {
    // What fails or panics here does so again where it belongs.
    let _ahead = catch_unwind(AssertUnwindSafe(|| {
        for address in accounts {
            black_box(state.account(address).is_ok());
        }
    }));
}

/// Runs a lane; a panic in it (a defect of isolane, or of a state that it was given) stays in it.
fn contained(lane: impl FnOnce() -> Result<Outcome, ExecutionError>) -> Result<Outcome, ExecutionError> {
    catch_unwind(AssertUnwindSafe(lane)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Err(ExecutionError::Panic(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;
    use isolane_spec::opcode::op;
    use isolane_spec::{
        AccountInfo, BlockContext, Bytes, Fork, H256, Halt, MemoryState, Rules, StateError, Status, U256,
    };
    use std::sync::Arc;

    const SENDER: H160 = H160([1; 20]);
    const CONTRACT: H160 = H160([2; 20]);

    fn state(code: &[u8]) -> MemoryState {
        let mut state = MemoryState::default();
        let rich = AccountInfo { balance: U256::from(10).pow(18.into()), ..AccountInfo::default() };
        state.insert(SENDER, rich, Bytes::new(), []);
        let info = AccountInfo { nonce: 1, code_hash: keccak256(code), ..AccountInfo::default() };
        state.insert(CONTRACT, info, Bytes::copy_from_slice(code), []);
        state
    }

    fn environment(id: &str, fork: Fork, state: impl StateView + 'static, order: Order) -> Environment {
        let block = BlockContext { gas_limit: 30_000_000, ..BlockContext::default() };
        Environment { order, ..Environment::new(id, Rules::new(fork, 1), block, Arc::new(state)) }
    }

    fn call(nonce: u64) -> Transaction {
        Transaction { sender: SENDER, nonce, gas_limit: 100_000, to: Some(CONTRACT), ..Transaction::default() }
    }

    /// PUSH0; PUSH0; SSTORE of a counter: reads slot 0, adds one, writes it.
    const COUNTER: [u8; 9] = [op::PUSH1, 1, op::PUSH1, 0, op::SLOAD, op::ADD, op::PUSH1, 0, op::SSTORE];

    #[test]
    fn order_decides_what_a_transaction_starts_from() {
        let written = |order, nonces: [u64; 2]| {
            let batch = Batch {
                environments: vec![environment("counter", Fork::Prague, state(&COUNTER), order)],
                transactions: nonces.iter().map(|&nonce| (0, call(nonce))).collect(),
            };
            let slot = |result: &Result<Outcome, ExecutionError>| {
                let outcome = result.as_ref().expect("an outcome");
                let diff = outcome.diff.iter().find(|diff| diff.address == CONTRACT).expect("a change");
                diff.storage[0].after.low_u64()
            };
            Reference.execute(&batch).iter().map(slot).collect::<Vec<_>>()
        };
        assert_eq!(written(Order::Sequential, [0, 1]), [1, 2]);
        assert_eq!(written(Order::Independent, [0, 0]), [1, 1]);
    }

    #[test]
    fn forks_mix_in_a_batch() {
        // PUSH0 is an opcode from Shanghai on.
        let code = [op::PUSH0, op::STOP];
        let batch = Batch {
            environments: Fork::ALL.map(|fork| environment(fork.name(), fork, state(&code), Order::Sequential)).into(),
            transactions: (0..Fork::ALL.len() as u32).map(|index| (index, call(0))).collect(),
        };
        for (fork, result) in Fork::ALL.iter().zip(Reference.execute(&batch)) {
            let expected = if *fork < Fork::Shanghai { Status::Halt(Halt::UndefinedOpcode) } else { Status::Success };
            assert_eq!(result.expect("an outcome").status, expected, "{fork}");
        }
    }

    /// A state with a defect.
    struct Broken(MemoryState);

    impl StateView for Broken {
        fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
            self.0.account(address)
        }
        fn storage(&self, _: &H160, _: &U256) -> Result<U256, StateError> {
            panic!("a defect in the storage")
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

    #[test]
    fn a_panic_stays_in_its_environment() {
        let well = |id| environment(id, Fork::Prague, state(&COUNTER), Order::Sequential);
        let broken = |order| environment("broken", Fork::Prague, Broken(state(&COUNTER)), order);
        let alone = Reference.execute(&Batch { environments: vec![well("well")], transactions: vec![(0, call(0))] });
        let batch = Batch {
            environments: vec![well("a"), broken(Order::Sequential), well("b"), broken(Order::Independent)],
            transactions: vec![(0, call(0)), (1, call(0)), (2, call(0)), (3, call(0)), (1, call(1)), (9, call(0))],
        };
        let results = Reference.execute(&batch);
        assert_eq!(results[0], alone[0]);
        assert_eq!(results[2], alone[0]);
        let panic = Err(ExecutionError::Panic("a defect in the storage".into()));
        assert_eq!(results[1], panic);
        assert_eq!(results[3], panic);
        assert_eq!(results[4], panic, "the state after a panic is unknown");
        assert_eq!(results[5], Err(ExecutionError::NoEnvironment(9)));
    }
}
