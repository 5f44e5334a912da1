//! The end of an epoch: receipts, timeouts, new messages, subscriptions, and the check that nothing was lost or made.

use super::{Breach, Channel, Exchange, Problem, Ticket, Waiting};
use crate::cpu::exchange::{Holdings, holdings};
use crate::spec::gas::{EXCHANGE_DELIVERY, EXCHANGE_REFUND};
use crate::spec::{
    Bytes, EXCHANGE_ADDRESS, EnvironmentId, Failure, H160, H256, Kind, Message, MessagePolicy, Receipt, ReceiptStatus,
    StateError, StateView, U256,
};
use std::collections::BTreeMap;

/// What became of a message in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was sent, and waits for its destination.
    Sent,
    /// It arrived, and its call succeeded. Of a refund: what it carries is back.
    Delivered,
    /// It failed; a call is refunded from the next epoch on.
    Failed(Failure),
    /// A refund whose call failed: what it carries can be claimed.
    Claimable,
    /// A refund that was rolled back with its environment: it waits, and then goes to the claimable ledger.
    Deferred,
}

/// One message and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: H256,
    /// The message.
    pub message: Message,
    /// What became of it.
    pub event: Event,
    /// Gas that its call used, where it was called.
    pub gas_used: u64,
}

/// Where an asset is at a barrier. `locked` is the sum of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetReport {
    /// The asset, by its home.
    pub asset: EnvironmentId,
    /// In escrow at home.
    pub locked: U256,
    /// In balances abroad.
    pub abroad: U256,
    /// In messages that wait, refunds included.
    pub in_flight: U256,
    /// In claimable ledgers, at home and abroad.
    pub claimable: U256,
}

/// What happened in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The epoch that ended.
    pub epoch: u64,
    /// By destination: deliveries, then timeouts; by source: new messages; then what subscribers are told.
    pub entries: Vec<Entry>,
    /// By name of the asset.
    pub assets: Vec<AssetReport>,
}

/// What an environment's state says at a barrier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// The account of the exchange, asked for the assets of all environments.
    pub holdings: Holdings,
    /// The sum of all native balances, less all that was issued and plus all that was burned since the run began,
    /// where the caller knows it: it must not change.
    pub supply: Option<U256>,
}

impl Exchange {
    /// The books of an environment, from its state at the end of the epoch.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn books(&self, state: &dyn StateView) -> Result<Books, StateError> {
        let assets: Vec<_> = self.config().environments.keys().copied().collect();
        Ok(Books { holdings: holdings(state, &assets)?, supply: None })
    }

    /// Ends the epoch: takes in what was handed in, fails what is late, routes what was sent, and checks the books of
    /// all environments.
    ///
    /// # Errors
    /// When the books do not close. The run must stop.
    pub fn barrier(&mut self, books: &BTreeMap<EnvironmentId, Books>) -> Result<Report, Breach> {
        let staged = std::mem::take(&mut self.staged);
        let mut entries = Vec::new();
        self.take_receipts(&staged.receipts, &mut entries)?;
        self.expire(&mut entries);
        for (source, messages) in staged.messages {
            self.route(source, messages, &mut entries)?;
        }
        self.tell_subscribers(&staged.published, &mut entries);
        let assets = self.audit(books)?;
        self.check_supplies(books)?;
        let epoch = self.epoch;
        let no_more = || self.breach(EnvironmentId::default(), Problem::Overflow);
        self.epoch = epoch.checked_add(1).ok_or_else(no_more)?;
        Ok(Report { epoch, entries, assets })
    }

    fn breach(&self, environment: EnvironmentId, problem: Problem) -> Breach {
        Breach { epoch: self.epoch, environment, problem: Box::new(problem) }
    }

    fn next_nonce(&mut self, source: EnvironmentId, destination: EnvironmentId, kind: u8) -> u64 {
        let next = self.next.entry(Channel { source, destination, kind }).or_default();
        let nonce = *next;
        *next += 1;
        nonce
    }

    fn enqueue(&mut self, message: Message, id: H256) {
        let destination = message.destination;
        let waiting = Waiting { message, id, ledger_only: false };
        self.waiting.entry(destination).or_default().insert(Ticket::of(&waiting.message), waiting);
    }

    /// Takes the deliveries of the epoch out of the queues, each with its receipt.
    fn take_receipts(
        &mut self,
        receipts: &BTreeMap<EnvironmentId, Vec<Receipt>>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Breach> {
        if let Some(unknown) = receipts.keys().find(|name| !self.config.environments.contains_key(name)) {
            return Err(self.breach(*unknown, Problem::UnknownEnvironment));
        }
        let mut settled = Vec::new();
        for destination in self.config.environments.keys().copied() {
            let deliveries = self.deliveries(&destination);
            let receipts = receipts.get(&destination).map_or(&[][..], Vec::as_slice);
            let (expected, got) = (deliveries.len(), receipts.len());
            let index = deliveries.iter().zip(receipts).position(|(delivery, receipt)| delivery.id != receipt.id);
            if expected != got || index.is_some() {
                return Err(self.breach(destination, Problem::Receipts { expected, got, index }));
            }
            settled.extend(deliveries.into_iter().map(|delivery| delivery.message).zip(receipts));
        }
        // Only now: a refund that is sent here is none of the deliveries of this epoch.
        for (message, receipt) in settled {
            self.take_receipt(message, receipt, entries);
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        Ok(())
    }

    fn take_receipt(&mut self, message: Message, receipt: &Receipt, entries: &mut Vec<Entry>) {
        let id = receipt.id;
        let refund = matches!(message.kind, Kind::Refund { .. });
        let event = match receipt.status {
            ReceiptStatus::Delivered => Event::Delivered,
            ReceiptStatus::Failed(_) if refund => Event::Claimable,
            ReceiptStatus::RolledBack if refund => Event::Deferred,
            ReceiptStatus::Failed(failure) => Event::Failed(failure),
            ReceiptStatus::RolledBack => Event::Failed(Failure::RolledBack),
        };
        if let Some(waiting) = self.waiting.get_mut(&message.destination) {
            let ticket = Ticket::of(&message);
            if event == Event::Deferred {
                if let Some(deferred) = waiting.get_mut(&ticket) {
                    deferred.ledger_only = true;
                }
            } else {
                waiting.remove(&ticket);
            }
        }
        if let Event::Failed(failure) = event {
            self.refund(&message, id, failure);
        }
        entries.push(Entry { id, message, event, gas_used: receipt.gas_used });
    }

    /// Sends back what a failed message carries, and the news.
    fn refund(&mut self, message: &Message, id: H256, failure: Failure) {
        if message.kind != Kind::Call {
            // The exchange sent it itself, and it carries nothing.
            return;
        }
        let kind = Kind::Refund { id, failure };
        let (source, destination) = (message.destination, message.source);
        let refund = Message {
            kind,
            source,
            destination,
            nonce: self.next_nonce(source, destination, kind.number()),
            epoch: self.epoch,
            sender: EXCHANGE_ADDRESS,
            to: message.refund,
            asset: message.asset,
            value: message.value,
            gas: EXCHANGE_REFUND,
            timeout: u64::MAX,
            refund: H160::zero(),
            data: Bytes::new(),
        };
        let id = self.id(&refund);
        self.enqueue(refund, id);
    }

    /// Fails what could not be delivered by the end of its last epoch.
    fn expire(&mut self, entries: &mut Vec<Entry>) {
        let epoch = self.epoch;
        let mut late = Vec::new();
        for waiting in self.waiting.values_mut() {
            late.extend(waiting.extract_if(.., |_, waiting| waiting.message.timeout <= epoch).map(|(_, late)| late));
        }
        for Waiting { message, id, .. } in late {
            self.refund(&message, id, Failure::Timeout);
            entries.push(Entry { id, message, event: Event::Failed(Failure::Timeout), gas_used: 0 });
        }
    }

    /// Takes in what an environment sent.
    fn route(&mut self, source: EnvironmentId, messages: Vec<Message>, entries: &mut Vec<Entry>) -> Result<(), Breach> {
        let Some(sender) = self.config.environments.get(&source).cloned() else {
            return Err(self.breach(source, Problem::UnknownEnvironment));
        };
        // Calls that wait, by destination. Messages of this source come after those of the sources before it.
        let mut calls: BTreeMap<EnvironmentId, u64> = BTreeMap::new();
        let (mut sent, mut bytes) = (0_u64, 0_u64);
        for message in messages {
            self.check_message(source, &message)?;
            sent += 1;
            bytes = bytes.saturating_add(message.data.len() as u64);
            let destination = message.destination;
            let waiting = *calls.entry(destination).or_insert_with(|| self.waiting_calls(&destination));
            let full = sent > sender.outbox || bytes > sender.outbox_bytes;
            let refused = self.refusal(&sender, &message, full, waiting);
            let id = self.id(&message);
            let event = match refused {
                Some(failure) => {
                    self.refund(&message, id, failure);
                    Event::Failed(failure)
                }
                None => {
                    calls.insert(destination, waiting + 1);
                    self.enqueue(message.clone(), id);
                    Event::Sent
                }
            };
            entries.push(Entry { id, message, event, gas_used: 0 });
        }
        Ok(())
    }

    fn waiting_calls(&self, destination: &EnvironmentId) -> u64 {
        let call = |waiting: &&Waiting| waiting.message.kind == Kind::Call;
        self.waiting.get(destination).map_or(0, |waiting| waiting.values().filter(call).count() as u64)
    }

    /// What no execution of the source can have produced, a replay among it.
    fn check_message(&mut self, source: EnvironmentId, message: &Message) -> Result<(), Breach> {
        let epoch = self.epoch;
        let breach = |field, expected: String, got: String| {
            Err(Breach { epoch, environment: source, problem: Box::new(Problem::Message { field, expected, got }) })
        };
        if message.source != source {
            return breach("source", source.to_string(), message.source.to_string());
        }
        if message.kind != Kind::Call {
            return breach("kind", "a call".to_owned(), format!("{:?}", message.kind));
        }
        if message.epoch != epoch {
            return breach("epoch", epoch.to_string(), message.epoch.to_string());
        }
        if !message.value.is_zero() && !self.config.environments.contains_key(&message.asset) {
            return breach("asset", "an environment of the run".to_owned(), message.asset.to_string());
        }
        let expected = self.next_nonce(source, message.destination, message.kind.number());
        if message.nonce != expected {
            return breach("nonce", expected.to_string(), message.nonce.to_string());
        }
        Ok(())
    }

    /// Why a message does not get into its destination's queue.
    fn refusal(&self, sender: &MessagePolicy, message: &Message, full: bool, waiting: u64) -> Option<Failure> {
        let Some(receiver) = self.config.environments.get(&message.destination) else {
            return Some(Failure::UnknownEnvironment);
        };
        let gas = EXCHANGE_DELIVERY.saturating_add(message.gas);
        let carries = !message.value.is_zero();
        let failures = [
            (!sender.send_to.allows(&message.destination), Failure::Denied),
            (!receiver.receive_from.allows(&message.source), Failure::Denied),
            (carries && !(sender.assets && receiver.assets), Failure::AssetsRefused),
            (full, Failure::OutboxFull),
            (message.timeout <= self.epoch, Failure::Timeout),
            (gas > receiver.inbox_gas, Failure::GasAboveInbox),
            (waiting >= receiver.inbox, Failure::InboxFull),
        ];
        failures.into_iter().find_map(|(fails, failure)| fails.then_some(failure))
    }

    /// Sends the slots that changed to those who subscribe to them.
    fn tell_subscribers(&mut self, published: &BTreeMap<usize, (Option<U256>, U256)>, entries: &mut Vec<Entry>) {
        for (&index, &(before, value)) in published {
            let told = self.told.get(&index).copied().or(before);
            let Some(subscription) = self.config.subscriptions.get(index).cloned() else { continue };
            if told == Some(value) {
                continue;
            }
            self.told.insert(index, value);
            let (source, destination) = (subscription.source, subscription.subscriber);
            let message = Message {
                kind: Kind::State,
                source,
                destination,
                nonce: self.next_nonce(source, destination, Kind::State.number()),
                epoch: self.epoch,
                sender: EXCHANGE_ADDRESS,
                to: subscription.to,
                asset: source,
                value: U256::zero(),
                gas: subscription.gas,
                timeout: u64::MAX,
                refund: H160::zero(),
                data: subscription.call(&value, self.epoch),
            };
            let id = self.id(&message);
            self.enqueue(message.clone(), id);
            entries.push(Entry { id, message, event: Event::Sent, gas_used: 0 });
        }
    }

    /// Whether native assets are as many as when the run began, where the books say how many there are.
    fn check_supplies(&mut self, books: &BTreeMap<EnvironmentId, Books>) -> Result<(), Breach> {
        for (environment, books) in books {
            if let Some(got) = books.supply {
                let expected = *self.supplies.entry(*environment).or_insert(got);
                if got != expected {
                    return Err(self.breach(*environment, Problem::Supply { expected, got }));
                }
            }
        }
        Ok(())
    }

    /// Where each asset is, if the books of all environments close.
    ///
    /// # Errors
    /// When they do not.
    pub fn audit(&self, books: &BTreeMap<EnvironmentId, Books>) -> Result<Vec<AssetReport>, Breach> {
        let mut sums: BTreeMap<EnvironmentId, AssetReport> = BTreeMap::new();
        for environment in self.config.environments.keys() {
            let Some(books) = books.get(environment) else {
                return Err(self.breach(*environment, Problem::Unreported));
            };
            let Holdings { native, locked, .. } = books.holdings;
            if native < locked {
                return Err(self.breach(*environment, Problem::Uncovered { locked, native }));
            }
            let zero = U256::zero();
            let report = AssetReport { asset: *environment, locked, abroad: zero, in_flight: zero, claimable: zero };
            sums.insert(*environment, report);
        }
        let overflow = |asset: EnvironmentId| self.breach(asset, Problem::Overflow);
        let held = books.values().flat_map(|books| &books.holdings.assets);
        let held = held.map(|(asset, holding)| (*asset, holding.supply, holding.claimable, U256::zero()));
        let waiting = self.waiting.values().flat_map(BTreeMap::values);
        let waiting = waiting.map(|Waiting { message, .. }| (message.asset, U256::zero(), U256::zero(), message.value));
        for (asset, abroad, claimable, in_flight) in held.chain(waiting) {
            if abroad.is_zero() && claimable.is_zero() && in_flight.is_zero() {
                continue;
            }
            let sum = sums.get_mut(&asset).ok_or_else(|| self.breach(asset, Problem::UnknownEnvironment))?;
            sum.abroad = sum.abroad.checked_add(abroad).ok_or_else(|| overflow(asset))?;
            sum.claimable = sum.claimable.checked_add(claimable).ok_or_else(|| overflow(asset))?;
            sum.in_flight = sum.in_flight.checked_add(in_flight).ok_or_else(|| overflow(asset))?;
        }
        for sum in sums.values() {
            let &AssetReport { asset, locked, abroad, in_flight, claimable } = sum;
            let total = abroad.checked_add(in_flight).and_then(|total| total.checked_add(claimable));
            if total.ok_or_else(|| overflow(asset))? != locked {
                return Err(self.breach(asset, Problem::Conservation { locked, abroad, in_flight, claimable }));
            }
        }
        Ok(sums.into_values().collect())
    }
}
