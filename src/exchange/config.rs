//! Who takes part in the exchange, and on what terms.

use crate::cpu::exchange::abi::IStateReceiver;
use crate::spec::gas::{EXCHANGE_DELIVERY, EXCHANGE_REFUND};
use crate::spec::{Bytes, EnvironmentId, H160, H256, MessagePolicy, U256, word};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use std::collections::BTreeMap;

/// A slot of one environment that another one wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Who wants to know.
    pub subscriber: EnvironmentId,
    /// The account there whose `onState` is called (`contracts/IExchange.sol`).
    pub to: H160,
    /// Gas of that call. Nobody pays for it; it counts against the subscriber's inbox gas.
    pub gas: u64,
    /// Whose slot it is.
    pub source: EnvironmentId,
    /// The account there.
    pub account: H160,
    /// The slot.
    pub slot: U256,
}

impl Subscription {
    /// The call data that tells the subscriber.
    pub(super) fn call(&self, value: &U256, epoch: u64) -> Bytes {
        let call = IStateReceiver::onStateCall {
            source: B256::new(self.source.0.0),
            account: Address::new(self.account.0),
            slot: B256::new(word::to_be(&self.slot)),
            value: B256::new(word::to_be(value)),
            epoch,
        };
        call.abi_encode().into()
    }
}

/// Who takes part in the exchange, and on what terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The hash of the manifest, which the ids of messages depend on.
    pub manifest: H256,
    /// All environments of the run.
    pub environments: BTreeMap<EnvironmentId, MessagePolicy>,
    /// In the order in which a subscriber hears of slots that change in the same epoch.
    pub subscriptions: Vec<Subscription>,
}

/// A configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The zero word stands for an environment's own native asset.
    #[error("an environment is named by the zero word: give it a name")]
    NoName,
    /// A refund could never be delivered.
    #[error("environment {environment}: inbox_gas is {got}: at least {least} is needed for a refund")]
    InboxGasTooLow {
        /// The environment.
        environment: EnvironmentId,
        /// The least that works.
        least: u64,
        /// What was asked for.
        got: u64,
    },
    /// A subscription names an environment that the run does not have.
    #[error("subscription {index}: no environment {name}")]
    UnknownEnvironment {
        /// Which subscription, from 0.
        index: usize,
        /// The name.
        name: EnvironmentId,
    },
    /// A subscription could never be delivered.
    #[error("subscription {index}: gas is {got}: at most {most} fits the inbox_gas of {subscriber}")]
    SubscriptionGas {
        /// Which subscription, from 0.
        index: usize,
        /// Who subscribes.
        subscriber: EnvironmentId,
        /// The most that works.
        most: u64,
        /// What was asked for.
        got: u64,
    },
}

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let least = EXCHANGE_REFUND + EXCHANGE_DELIVERY;
        for (environment, policy) in &self.environments {
            if environment.is_zero() {
                return Err(ConfigError::NoName);
            }
            let got = policy.inbox_gas;
            if got < least {
                return Err(ConfigError::InboxGasTooLow { environment: *environment, least, got });
            }
        }
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            let (subscriber, got) = (subscription.subscriber, subscription.gas);
            let Some(policy) = self.environments.get(&subscriber) else {
                return Err(ConfigError::UnknownEnvironment { index, name: subscriber });
            };
            if !self.environments.contains_key(&subscription.source) {
                return Err(ConfigError::UnknownEnvironment { index, name: subscription.source });
            }
            let most = policy.inbox_gas - EXCHANGE_DELIVERY;
            if got > most {
                return Err(ConfigError::SubscriptionGas { index, subscriber, most, got });
            }
        }
        Ok(())
    }
}
