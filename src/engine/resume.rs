//! What the journal keeps of an epoch, and how a run goes on from it.

use super::encode::{Reader, Writer};
use super::journal::{self, Storage};
use super::report::EpochReport;
use super::stats::{EpochStats, Stats};
use super::{Engine, EngineError};
use crate::exchange::Exchange;
use crate::load::typed::InputError;

impl Engine {
    /// Keeps all further epochs in a journal that holds none yet.
    ///
    /// # Errors
    /// When it holds epochs already, or cannot be read.
    pub fn start_journal(&mut self, storage: Box<dyn Storage>) -> Result<(), EngineError> {
        let epoch = self.epoch();
        if journal::get(&*storage, epoch)?.is_some() {
            let problem = "it holds the journal of an earlier run: resume that (--resume), or use another folder";
            return Err(InputError::new(storage.name(), journal::record_name(epoch), problem).into());
        }
        self.storage = Some(storage);
        Ok(())
    }

    /// Goes on where the run that wrote the journal stopped, and keeps all further epochs in it. The engine must be as
    /// that run's was before its first epoch, with the same submissions. Returns how many epochs were there.
    ///
    /// # Errors
    /// When the journal is damaged or of another run.
    pub fn resume(&mut self, storage: Box<dyn Storage>) -> Result<u64, EngineError> {
        let first = self.epoch();
        while let Some(record) = journal::get(&*storage, self.epoch())? {
            let epoch = self.epoch();
            self.read_record(&record).map_err(|error| match error {
                EngineError::Journal(error) => {
                    let place = format!("{}: {}", journal::record_name(epoch), error.place);
                    EngineError::Journal(InputError::new(storage.name(), place, error.problem))
                }
                other => other,
            })?;
        }
        self.storage = Some(storage);
        Ok(self.epoch() - first)
    }

    /// Keeps the epoch that just ended.
    pub(super) fn write_journal(&mut self, report: &EpochReport) -> Result<(), EngineError> {
        if self.storage.is_none() {
            return Ok(());
        }
        let mut writer = Writer::default();
        writer.hash(&self.identity).number(report.epoch).hash(&self.before).hash(&report.digest);
        let (round, deficits) = self.scheduler.checkpoint();
        writer.number(round);
        writer.list(&deficits, |writer, deficit| {
            writer.signed(*deficit);
        });
        writer.bytes(&self.exchange.to_bytes()).bytes(&json(&self.flows)?);
        for (slot, environment) in self.slots.iter().zip(&report.environments) {
            writer.bytes(slot.config.name.as_bytes()).diff(&slot.running.diff);
            writer.number(environment.block).hash(&environment.digest);
            writer.option(environment.state_root, |writer, root| {
                writer.hash(&root);
            });
            writer.option(slot.halted.as_ref(), |writer, error| {
                writer.bytes(error.as_bytes());
            });
            writer.number(slot.queue.taken());
            writer.bytes(&json(&slot.stats)?).bytes(&json(&slot.running.epoch)?);
        }
        let Some(storage) = &mut self.storage else { return Ok(()) };
        Ok(journal::put(&mut **storage, report.epoch, &writer.0)?)
    }

    fn read_record(&mut self, record: &[u8]) -> Result<(), EngineError> {
        let mut reader = Reader::new(record);
        let expect = |place: &str, expected: String, got: String| match expected == got {
            true => Ok(()),
            false => {
                let problem = format!("expected {expected}, got {got}: it is the journal of another run");
                Err(InputError::at(place, problem))
            }
        };
        let epoch = self.epoch();
        // What became ready in the epoch has waited since the round before it.
        let started = self.scheduler.round();
        expect("manifest", format!("{:?}", self.identity), format!("{:?}", reader.hash()?))?;
        expect("epoch", epoch.to_string(), reader.number()?.to_string())?;
        expect("digest before", format!("{:?}", self.digest), format!("{:?}", reader.hash()?))?;
        let digest = reader.hash()?;
        let round = reader.number()?;
        let deficits = reader.list(Reader::signed)?;
        self.exchange = Exchange::from_bytes(self.exchange.config().clone(), reader.bytes()?)?;
        self.flows = parse(reader.bytes()?)?;
        expect("epoch of the exchange", (epoch + 1).to_string(), self.exchange.epoch().to_string())?;
        for slot in &mut self.slots {
            expect("environment", slot.config.name.clone(), String::from_utf8_lossy(reader.bytes()?).into_owned())?;
            let diff = reader.diff()?;
            slot.space.apply(&diff);
            let (block, hash) = (reader.number()?, reader.hash()?);
            slot.space.set_block_hash(block, hash);
            if slot.trie.as_mut().is_some_and(|trie| trie.apply(&diff).is_err()) {
                slot.trie = None;
            }
            let root = slot.trie.as_mut().map(crate::trie::StateTrie::root);
            expect("state root", format!("{root:?}"), format!("{:?}", reader.option(Reader::hash)?))?;
            slot.halted = reader.option(|reader| Ok(String::from_utf8_lossy(reader.bytes()?).into_owned()))?;
            let taken = reader.number()?;
            if !slot.queue.skip(taken, epoch, started) {
                let problem = format!("expected at least {taken} transactions, got fewer: submit them all");
                return Err(InputError::at(slot.config.name.clone(), problem).into());
            }
            let epochs = std::mem::take(&mut slot.stats.epochs);
            slot.stats = parse::<Stats>(reader.bytes()?)?;
            slot.stats.epochs = epochs;
            slot.stats.epochs.push(parse::<EpochStats>(reader.bytes()?)?);
        }
        reader.end()?;
        self.scheduler.restore(round, &deficits);
        self.digest = digest;
        self.before = digest;
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, InputError> {
    serde_json::to_vec(value).map_err(|error| InputError::at("statistics", error.to_string()))
}

fn parse<T: for<'a> serde::Deserialize<'a>>(bytes: &[u8]) -> Result<T, InputError> {
    serde_json::from_slice(bytes).map_err(|error| InputError::at("statistics", error.to_string()))
}
