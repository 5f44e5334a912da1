//! [`Snapshots`]: answers data calls from the states at the start of an epoch.

use crate::cpu::Machine;
use crate::spec::{Answer, Environment, EnvironmentId, ExecutionError, Query, Reader, StateError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Machines that nobody uses just now, at the state of their environment.
struct Snapshot {
    environment: Environment,
    idle: Mutex<Vec<Machine>>,
}

/// Answers data calls from the states that it is given: those at the start of the epoch. A new one is made for each
/// epoch. Its answers are the same on all threads.
#[derive(Default)]
pub struct Snapshots {
    environments: BTreeMap<EnvironmentId, Snapshot>,
}

impl Snapshots {
    /// From environments with messaging; those without it can be neither named nor read.
    #[must_use]
    pub fn new(environments: impl IntoIterator<Item = Environment>) -> Self {
        let snapshot = |environment: Environment| {
            let name = environment.messaging.as_ref()?.environment;
            Some((name, Snapshot { environment, idle: Mutex::new(Vec::new()) }))
        };
        Self { environments: environments.into_iter().filter_map(snapshot).collect() }
    }
}

impl Reader for Snapshots {
    fn read(&self, query: &Query) -> Result<Answer, StateError> {
        let Some(snapshot) = self.environments.get(&query.environment) else {
            return Err(StateError::Source(format!("a data call to {}: no snapshot of it", query.environment)));
        };
        let idle = || snapshot.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = idle().pop();
        let mut machine = machine.unwrap_or_else(|| Machine::new(snapshot.environment.clone()));
        let answer = machine.answer(query).map_err(|error| match error {
            ExecutionError::State(error) => error,
            other => StateError::Source(other.to_string()),
        })?;
        idle().push(machine);
        Ok(answer)
    }
}
