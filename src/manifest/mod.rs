//! Manifests: a whole run in one TOML file (docs/manifest.md).

mod allow;
mod environment;
pub mod source;
mod state;
mod tenant;
mod transactions;

use crate::convert::keccak;
use crate::engine::{Engine, EngineConfig, EngineError, Submission};
use crate::load::typed;
use isolane_spec::{EnvironmentId, H256};
use source::{At, Document, ManifestError, Result, Value, nearest, read_text};
use std::cell::RefCell;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
pub(crate) use tenant::{read_budget, read_permissions};

/// The most environments of a run.
const MAX_ENVIRONMENTS: usize = 4096;

/// A run as a manifest describes it.
#[derive(Clone)]
pub struct Plan {
    /// The environments.
    pub config: EngineConfig,
    /// The transactions, by environment, in the order of the configuration.
    pub submissions: Vec<(String, Vec<Submission>)>,
    /// How many epochs to run; `None`: until nothing waits any more.
    pub epochs: Option<u64>,
}

impl Plan {
    /// Reads a manifest and all files that it names.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, its line, its key and the nearest valid value.
    pub fn read(path: &Path) -> Result<Self> {
        let (name, text) = read_text(path)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&name, &text, &folder)
    }

    /// Parses a manifest's text; the files that it names are looked for from `folder`.
    ///
    /// # Errors
    /// See [`Plan::read`].
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self> {
        let document = Document::parse(name, text)?;
        let root = document.root();
        let files = Files { folder: folder.to_owned(), hashes: RefCell::new(vec![keccak(text)]) };
        let mut config = EngineConfig::new(H256::zero());
        let epochs = root.read("run", |value| read_run(value, &mut config))?.flatten();
        let environments = root.need("environment", "at least one [environment.NAME]")?;
        let entries = environments.table()?.entries();
        root.done()?;
        if entries.is_empty() || entries.len() > MAX_ENVIRONMENTS {
            return Err(environments.wrong(format!("1 to {MAX_ENVIRONMENTS} environments")));
        }
        for (name, value) in &entries {
            EnvironmentId::new(name).map_err(|error| value.at.error(error))?;
        }
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        let context = Context { files: &files, names: &names };
        let mut parts = Vec::with_capacity(entries.len());
        for (name, value) in &entries {
            parts.push(environment::read(&context, name, value)?);
        }
        environment::connect(&mut parts);
        let mut starts = state::resolve(&context, &parts)?.into_iter();
        let mut submissions = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(start) = starts.next() else { break };
            let (environment, list, subscriptions) = part.finish(&context, start)?;
            submissions.push((environment.name.clone(), list));
            config.environments.push(environment);
            config.subscriptions.extend(subscriptions);
        }
        let hashes: Vec<u8> = files.hashes.take().iter().flat_map(|hash| hash.0).collect();
        config.identity = keccak(hashes);
        Ok(Self { config, submissions, epochs })
    }

    /// An engine with all transactions submitted.
    ///
    /// # Errors
    /// See [`Engine::new`].
    pub fn engine(self) -> std::result::Result<Engine, EngineError> {
        let mut engine = Engine::new(self.config)?;
        for (environment, submissions) in self.submissions {
            for submission in submissions {
                engine.submit(&environment, submission)?;
            }
        }
        Ok(engine)
    }
}

fn read_run(value: &Value<'_>, config: &mut EngineConfig) -> Result<Option<u64>> {
    let run = value.table()?;
    let epochs = run.read("epochs", |value| value.number(1, 1_000_000_000))?;
    let positive = |value: &Value<'_>| Ok(NonZeroU64::new(value.number(1, u64::MAX)?));
    config.quantum = run.read("quantum", positive)?.flatten().unwrap_or(config.quantum);
    config.epoch_gas = run.read("epoch_gas", positive)?.flatten();
    let lanes = run.read("lanes", |value| Ok(NonZeroU32::new(value.number(1, 1 << 20)? as u32)))?;
    config.lanes = lanes.flatten().unwrap_or(config.lanes);
    run.done()?;
    Ok(epochs)
}

/// What all parts of a manifest need.
struct Context<'a> {
    files: &'a Files,
    /// The names of all environments.
    names: &'a [&'a str],
}

impl Context<'_> {
    /// The index of the environment that a value names.
    fn environment(&self, value: &Value<'_>) -> Result<usize> {
        let name = value.text()?;
        self.names.iter().position(|known| *known == name).ok_or_else(|| {
            let near = nearest(name, self.names.iter().copied()).map(|name| format!("{name:?}"));
            value.at.error(format!("no environment {name:?} in this manifest")).nearest(near)
        })
    }
}

/// Files that a manifest names, and the hashes of all that was read.
struct Files {
    folder: PathBuf,
    hashes: RefCell<Vec<H256>>,
}

impl Files {
    /// Reads a file; its hash becomes part of the run's identity.
    fn read(&self, name: &str, at: &At<'_>) -> Result<Vec<u8>> {
        let path = self.folder.join(name);
        let bytes = typed::read(&path).map_err(|error| {
            let near = path.parent().and_then(|folder| nearest_file(folder, &path));
            at.error(format!("{}: {}", path.display(), error.problem)).nearest(near)
        })?;
        self.hashes.borrow_mut().push(keccak(&bytes));
        Ok(bytes)
    }
}

/// The file of a folder whose name looks most like the path's.
fn nearest_file(folder: &Path, path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    nearest(&wanted, names.iter().map(String::as_str)).filter(|name| *name != wanted).map(|name| format!("{name:?}"))
}
