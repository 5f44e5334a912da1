//! `[environment.X]`.

use super::allow::{read_allow, read_rules};
use super::source::{At, Result, Table, Value, nearest};
use super::state::{self, StateSource};
use super::transactions::{self, Defaults};
use super::{Context, ManifestError};
use crate::engine::{EnvironmentConfig, EpochBudget, OnViolation, StartState, Submission};
use crate::exchange::Subscription;
use crate::schedule::Share;
use isolane_spec::gas::{EXCHANGE_DELIVERY, EXCHANGE_REFUND};
use isolane_spec::{
    BlockContext, Budget, EnvironmentId, Fork, MessagePolicy, Order, Peers, Permissions, Rules, U256, blob_base_fee,
};
use std::num::NonZeroU32;

/// The least gas of any transaction.
pub(super) const LEAST_GAS: u64 = 21_000;
/// Gas limit of a block where nothing is said about it.
const BLOCK_GAS: u64 = 30_000_000;

/// An environment of a manifest, before its state is loaded.
pub(super) struct Part<'a> {
    name: String,
    at: At<'a>,
    rules: Rules,
    block: Option<Value<'a>>,
    order: Order,
    permissions: Permissions,
    messages: Option<MessagePolicy>,
    budget: Budgets,
    share: Share,
    on_violation: OnViolation,
    subscriptions: Vec<Subscription>,
    pub state: StateSource<'a>,
    files: Vec<Value<'a>>,
    inline: Vec<Value<'a>>,
}

/// What `[environment.X.budget]` says.
#[derive(Default)]
struct Budgets {
    transaction: Budget,
    epoch: EpochBudget,
    /// Where the epoch's gas is given.
    gas_at: Option<ManifestError>,
    policy: MessagePolicy,
}

/// Reads an environment, but for its state and its transactions.
pub(super) fn read<'a>(context: &Context<'_>, name: &str, value: &Value<'a>) -> Result<Part<'a>> {
    let table = value.table()?;
    let fork = table.need("fork", "the name of a fork, such as \"prague\"")?;
    let fork = read_fork(&fork)?;
    let chain_id = table.read("chain_id", |value| value.number(0, u64::MAX))?.unwrap_or(1);
    let mut rules = Rules::new(fork, chain_id);
    table.read("rules", |value| read_rules(value, &mut rules))?;
    let orders = [("sequential", Order::Sequential), ("independent", Order::Independent)];
    let order_at = table.get("order");
    let order = order_at.as_ref().map(|value| value.one_of(&orders)).transpose()?.unwrap_or_default();
    let allow = table.get("allow");
    let allowed = allow.as_ref().map(|value| read_allow(context, value)).transpose()?;
    let (permissions, messages) = allowed.map_or((Permissions::default(), None), |a| (a.permissions, a.messages));
    if let (Some(at), Some(policy)) = (&order_at, &messages)
        && order == Order::Independent
        && policy.send_to != Peers::NONE
    {
        let problem = "an independent environment cannot send: nothing of its transactions lasts";
        return Err(at.at.error(problem).nearest(Some("\"sequential\"".to_owned())));
    }
    let budget = table.read("budget", read_budget)?.unwrap_or_default();
    let (share, on_violation) = table.read("schedule", read_schedule)?.unwrap_or_default();
    let subscriptions = match table.get("subscribe") {
        Some(list) => list.items()?.iter().map(|item| read_subscription(context, name, item)).collect::<Result<_>>()?,
        None => Vec::new(),
    };
    let files = match table.get("transactions") {
        Some(one) if one.as_text().is_some() => vec![one],
        Some(list) => list.items()?,
        None => Vec::new(),
    };
    let part = Part {
        name: name.to_owned(),
        at: value.at.clone(),
        rules,
        block: table.get("block"),
        order,
        permissions,
        messages,
        budget,
        share,
        on_violation,
        subscriptions,
        state: state::read(context, &table)?,
        files,
        inline: table.get("transaction").map(|list| list.items()).transpose()?.unwrap_or_default(),
    };
    table.done()?;
    Ok(part)
}

/// Environments that only subscribe, or are only subscribed to, take part in the exchange as well, without the right to
/// send.
pub(super) fn connect(parts: &mut [Part<'_>]) {
    let needed: Vec<EnvironmentId> = parts
        .iter()
        .flat_map(|part| &part.subscriptions)
        .flat_map(|subscription| [subscription.source, subscription.subscriber])
        .collect();
    for part in parts {
        let takes_part = EnvironmentId::new(&part.name).is_ok_and(|id| needed.contains(&id));
        if takes_part && part.messages.is_none() {
            let (send_to, receive_from) = (Peers::NONE, Peers::NONE);
            let (read_from, read_by) = (Peers::NONE, Peers::NONE);
            let policy = MessagePolicy { send_to, receive_from, read_from, read_by, ..MessagePolicy::default() };
            part.messages = Some(policy);
        }
    }
}

fn read_fork(value: &Value<'_>) -> Result<Fork> {
    let name = value.text()?;
    name.parse().map_err(|_| {
        let near = nearest(name, Fork::ALL.map(Fork::name)).map(|name| format!("{:?}", name.to_ascii_lowercase()));
        value.wrong("the name of a fork, from frontier to amsterdam").nearest(near)
    })
}

fn read_budget(value: &Value<'_>) -> Result<Budgets> {
    let table = value.table()?;
    let mut budgets = Budgets::default();
    let count = |value: &Value<'_>| value.number(1, u64::MAX);
    let epoch = &mut budgets.epoch;
    if let Some(gas) = table.get("gas") {
        epoch.gas = gas.number(LEAST_GAS, u64::MAX)?;
        budgets.gas_at = Some(gas.at.error(""));
    }
    for (name, limit) in [("steps", &mut epoch.steps), ("slots", &mut epoch.slots), ("log_bytes", &mut epoch.log_bytes)]
    {
        *limit = table.read(name, count)?.unwrap_or(*limit);
    }
    let policy = &mut budgets.policy;
    for (name, limit) in [
        ("outbox", &mut policy.outbox),
        ("outbox_bytes", &mut policy.outbox_bytes),
        ("inbox", &mut policy.inbox),
        ("read_gas", &mut policy.read_gas),
    ] {
        *limit = table.read(name, |value| value.number(0, u64::MAX))?.unwrap_or(*limit);
    }
    let least = EXCHANGE_REFUND + EXCHANGE_DELIVERY;
    policy.inbox_gas = table.read("inbox_gas", |value| value.number(least, u64::MAX))?.unwrap_or(policy.inbox_gas);

    let one = &mut budgets.transaction;
    read_frame_limits(&table, one)?;
    if let Some(inner) = table.get("transaction") {
        let inner = inner.table()?;
        read_frame_limits(&inner, one)?;
        one.gas = inner.read("gas", |value| value.number(LEAST_GAS, budgets.epoch.gas))?.unwrap_or(one.gas);
        for (name, limit, most) in [
            ("steps", &mut one.steps, budgets.epoch.steps),
            ("slots", &mut one.slots, budgets.epoch.slots),
            ("log_bytes", &mut one.log_bytes, budgets.epoch.log_bytes),
            ("messages", &mut one.messages, budgets.policy.outbox),
        ] {
            // More than an epoch has could never be used.
            *limit = inner.read(name, |value| value.number(0, most))?.unwrap_or(*limit);
        }
        inner.done()?;
    }
    table.done()?;
    Ok(budgets)
}

/// What bounds a transaction wherever it is written.
fn read_frame_limits(table: &Table<'_>, budget: &mut Budget) -> Result<()> {
    budget.memory = table.read("memory", |value| value.number(0, u64::MAX))?.unwrap_or(budget.memory);
    let depth = table.read("call_depth", |value| value.number(0, 1024))?;
    budget.call_depth = depth.map_or(budget.call_depth, |depth| depth as u32);
    Ok(())
}

impl Default for Share {
    /// An equal share, and as many lanes as there are.
    fn default() -> Self {
        Self { weight: NonZeroU32::MIN, max_lanes: NonZeroU32::MAX }
    }
}

fn read_schedule(value: &Value<'_>) -> Result<(Share, OnViolation)> {
    let table = value.table()?;
    let positive = |value: &Value<'_>| Ok(NonZeroU32::new(value.number(1, 1_000_000)? as u32));
    let mut share = Share::default();
    share.weight = table.read("weight", positive)?.flatten().unwrap_or(share.weight);
    share.max_lanes = table.read("max_lanes", positive)?.flatten().unwrap_or(share.max_lanes);
    let words =
        [("fail-transaction", OnViolation::FailTransaction), ("fail-environment", OnViolation::FailEnvironment)];
    let on_violation = table.read("on_violation", |value| value.one_of(&words))?.unwrap_or_default();
    table.done()?;
    Ok((share, on_violation))
}

fn read_subscription(context: &Context<'_>, name: &str, value: &Value<'_>) -> Result<Subscription> {
    let table = value.table()?;
    let source = table.need("environment", "whose slot it is")?;
    let index = context.environment(&source)?;
    let id = |name: &str| EnvironmentId::new(name).map_err(|error| value.at.error(error));
    let source_name = context.names.get(index).copied().unwrap_or_default();
    if source_name == name {
        return Err(source.wrong("another environment than the subscriber"));
    }
    let subscription = Subscription {
        subscriber: id(name)?,
        to: table.need("to", "the account whose onState is called")?.address()?,
        gas: table.read("gas", |value| value.number(0, u64::MAX))?.unwrap_or(100_000),
        source: id(source_name)?,
        account: table.need("account", "the account whose slot it is")?.address()?,
        slot: table.need("slot", "the slot")?.word()?,
    };
    table.done()?;
    Ok(subscription)
}

/// Reads `[environment.X.block]` over what the state says of its block; returns the interval, and whether the gas limit
/// is given.
fn read_block(value: Option<&Value<'_>>, block: &mut BlockContext, rules: &Rules) -> Result<(u64, bool)> {
    let Some(value) = value else { return Ok((12, false)) };
    let table = value.table()?;
    let any = |value: &Value<'_>| value.number(0, u64::MAX);
    let interval = table.read("interval", any)?.unwrap_or(12);
    for (name, field) in
        [("number", &mut block.number), ("timestamp", &mut block.timestamp), ("slot_number", &mut block.slot_number)]
    {
        *field = table.read(name, any)?.unwrap_or(*field);
    }
    let mut limit_given = false;
    if let Some(limit) = table.get("gas_limit") {
        block.gas_limit = limit.number(LEAST_GAS, u64::MAX)?;
        limit_given = true;
    }
    block.coinbase = table.read("coinbase", Value::address)?.unwrap_or(block.coinbase);
    let fork = rules.fork;
    if let Some(fee) = table.get("base_fee") {
        block.base_fee = fee.word()?;
        if fork < Fork::London && !block.base_fee.is_zero() {
            return Err(fee.wrong(format!("0: {fork} has no base fee")).nearest(Some("0".to_owned())));
        }
    }
    block.difficulty = table.read("difficulty", Value::word)?.unwrap_or(block.difficulty);
    block.prev_randao = table.read("prev_randao", Value::hash)?.unwrap_or(block.prev_randao);
    block.blob_base_fee = table.read("blob_base_fee", Value::word)?.unwrap_or(block.blob_base_fee);
    if let Some(excess) = table.read("excess_blob_gas", any)? {
        block.blob_base_fee = blob_base_fee(excess, rules.blob_schedule.base_fee_update_fraction);
    }
    table.done()?;
    Ok((interval, limit_given))
}

impl Part<'_> {
    pub fn at(&self) -> &At<'_> {
        &self.at
    }

    /// Puts the environment together with its state and its transactions.
    pub fn finish(
        self,
        context: &Context<'_>,
        start: (StartState, Option<BlockContext>),
    ) -> Result<(EnvironmentConfig, Vec<Submission>, Vec<Subscription>)> {
        let (state, recorded) = start;
        let one = U256::one();
        let fresh = BlockContext { number: 1, timestamp: 12, blob_base_fee: one, ..BlockContext::default() };
        let mut block = recorded.unwrap_or(fresh);
        if block.gas_limit == 0 {
            let gas = self.budget.epoch.gas;
            block.gas_limit = if gas == u64::MAX { BLOCK_GAS } else { gas.max(BLOCK_GAS) };
        }
        let (block_time, limit_given) = read_block(self.block.as_ref(), &mut block, &self.rules)?;
        let gas = self.budget.epoch.gas;
        if let (Some(mut error), true) = (self.budget.gas_at, gas > block.gas_limit) {
            let given = if limit_given { "" } else { " of the recorded block" };
            error.problem = format!("expected at most the block's gas_limit{given}, {}, got {gas}", block.gas_limit);
            return Err(error.nearest(Some(block.gas_limit.to_string())));
        }
        let messages = self.messages.map(|policy| MessagePolicy {
            outbox: self.budget.policy.outbox,
            outbox_bytes: self.budget.policy.outbox_bytes,
            inbox: self.budget.policy.inbox,
            inbox_gas: self.budget.policy.inbox_gas,
            read_gas: self.budget.policy.read_gas,
            ..policy
        });
        let inbox = messages.as_ref().map_or(0, |policy| policy.inbox_gas.saturating_sub(EXCHANGE_DELIVERY));
        if let Some(subscription) = self.subscriptions.iter().find(|subscription| subscription.gas > inbox) {
            let problem = format!("a subscription's gas: expected at most {inbox}, got {}", subscription.gas);
            return Err(self.at.error(problem).nearest(Some(inbox.to_string())));
        }
        let cap = gas.min(self.budget.transaction.gas).min(block.gas_limit);
        let defaults = Defaults { fork: self.rules.fork, gas: cap.min(1_000_000), gas_price: block.base_fee };
        let mut submissions = Vec::new();
        for file in &self.files {
            submissions.extend(transactions::read_file(context, file, &defaults)?);
        }
        for value in &self.inline {
            submissions.extend(transactions::read_inline(value, &defaults)?);
        }
        let config = EnvironmentConfig {
            name: self.name,
            rules: self.rules,
            block,
            block_time,
            order: self.order,
            permissions: self.permissions,
            budget: self.budget.transaction,
            epoch_budget: self.budget.epoch,
            share: self.share,
            on_violation: self.on_violation,
            messages,
            state,
        };
        Ok((config, submissions, self.subscriptions))
    }
}
