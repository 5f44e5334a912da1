//! A case: one environment with its transactions, in a form that can be changed, run and written down.

use crate::load::fixtures::state_test::StateTestView;
use isolane_spec::{
    Batch, BlobSchedule, BlockContext, Budget, Environment, EnvironmentId, Fork, H160, H256, MemoryState,
    MessagePolicy, Messaging, Order, Permissions, Rules, StateView, Transaction, blob_base_fee,
};
use std::sync::Arc;

/// One environment with its transactions, which run one after another.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it comes from.
    pub name: String,
    /// Fork, chain, blob parameters.
    pub rules: Rules,
    /// The block.
    pub block: BlockContext,
    /// What the block's price of blob gas comes from.
    pub excess_blob_gas: u64,
    /// The state before the first transaction.
    pub state: Arc<MemoryState>,
    /// BLOCKHASH is the formula of state tests, not what the state records.
    pub formula: bool,
    /// What its environment has besides the protocol, and how its transactions relate.
    pub setting: Setting,
    /// In their order.
    pub transactions: Vec<Transaction>,
}

/// What an environment has besides the protocol, and how its transactions relate.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Whether each transaction starts from what the one before it left.
    pub order: Order,
    /// What it may not do, and what it may spend.
    pub restriction: Option<Arc<Restriction>>,
}

/// Permissions and a budget.
#[derive(Clone, Debug, Default)]
pub struct Restriction {
    /// What the environment may do.
    pub permissions: Permissions,
    /// What a transaction may spend.
    pub budget: Budget,
    /// Whether there is an exchange, and another environment to send messages to.
    pub messaging: bool,
}

/// The environment that messages of a case come from, and the one that they can go to.
pub const PEERS: [&str; 2] = ["here", "there"];

/// The exchange of a case.
fn messaging() -> Option<Messaging> {
    let [here, there] = PEERS.map(|name| EnvironmentId::new(name).ok());
    let (environment, there) = (here?, there?);
    Some(Messaging {
        environment,
        environments: [environment, there].into(),
        manifest: H256::zero(),
        epoch: 7,
        policy: Arc::new(MessagePolicy::default()),
        reader: None,
    })
}

impl Case {
    /// The environment.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let state: Arc<dyn StateView> = match self.formula {
            true => Arc::new(StateTestView(self.state.clone())),
            false => self.state.clone(),
        };
        let mut environment = Environment::new(self.name.clone(), self.rules, self.block.clone(), state);
        environment.order = self.setting.order;
        if let Some(restriction) = &self.setting.restriction {
            environment.permissions = restriction.permissions.clone();
            environment.budget = restriction.budget;
            environment.messaging = messaging().filter(|_| restriction.messaging);
        }
        environment
    }

    /// The same in another fork, with that fork's blob parameters and prices.
    pub fn set_fork(&mut self, fork: Fork) {
        self.rules = Rules::new(fork, self.rules.chain_id);
        let block = &mut self.block;
        if fork < Fork::London {
            block.base_fee = 0.into();
        }
        block.blob_base_fee = match BlobSchedule::of(fork) {
            Some(schedule) => blob_base_fee(self.excess_blob_gas, schedule.base_fee_update_fraction),
            None => 0.into(),
        };
    }

    /// The accounts that the case names, in order.
    #[must_use]
    pub fn addresses(&self) -> Vec<H160> {
        let mut addresses: Vec<H160> = self.state.accounts.keys().copied().collect();
        addresses.sort_unstable();
        addresses
    }
}

/// Cases as one batch, each in an environment of its own.
#[must_use]
pub fn batch(cases: &[Case]) -> Batch {
    let environments = cases.iter().map(Case::environment).collect();
    let transactions = cases
        .iter()
        .enumerate()
        .flat_map(|(index, case)| case.transactions.iter().map(move |transaction| (index as u32, transaction.clone())))
        .collect();
    Batch { environments, transactions }
}
