//! The table of bugs.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// The backends that the driver can run with bugs in them.
const BACKENDS: [&str; 3] = [REFERENCE, "lockstep", "ahead"];
/// See [`Bug::backend`].
pub const REFERENCE: &str = "reference";

/// A file of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    family: String,
    /// The backend that executes the copy; [`REFERENCE`] where it is not said.
    backend: Option<String>,
    #[serde(default)]
    site: Vec<RawSite>,
    #[serde(default)]
    schedule: Vec<RawChange>,
    #[serde(default)]
    rows: Vec<RawChange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    file: String,
    find: String,
    bugs: Vec<RawBug>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBug {
    name: String,
    plant: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChange {
    name: String,
    change: String,
}

/// One bug.
pub struct Bug {
    /// From 1 on; 0 is none.
    pub number: usize,
    pub family: String,
    /// The backend that is run with it.
    pub backend: String,
    /// What is wrong.
    pub name: String,
    /// The file that it is planted in.
    pub place: String,
}

/// A place in the source where one of several bugs, or none, is active.
pub struct Site {
    /// Below `cpu/src`.
    pub file: String,
    /// The original text, which occurs once.
    pub find: String,
    /// The numbers of the bugs with what they put there.
    pub bugs: Vec<(usize, String)>,
}

/// All bugs.
#[derive(Default)]
pub struct Plan {
    pub bugs: Vec<Bug>,
    pub sites: Vec<Site>,
    /// Statements that change a fork's gas schedule, by bug.
    pub schedule: Vec<(usize, String)>,
    /// Statements that change a fork's opcode table, by bug.
    pub rows: Vec<(usize, String)>,
}

impl Plan {
    fn add(&mut self, family: &str, backend: &str, name: String, place: &str) -> usize {
        let number = self.bugs.len() + 1;
        let (family, backend, place) = (family.to_owned(), backend.to_owned(), place.to_owned());
        self.bugs.push(Bug { number, family, backend, name, place });
        number
    }
}

/// Reads all files of a folder, in the order of their names.
pub fn read(folder: &Path) -> Result<Plan> {
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    let mut plan = Plan::default();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let file: Family = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let backend = file.backend.as_deref().unwrap_or(REFERENCE);
        ensure!(BACKENDS.contains(&backend), "{}: backend {backend:?}, expected one of {BACKENDS:?}", path.display());
        for change in file.schedule {
            let number = plan.add(&file.family, backend, change.name, "gas schedule");
            plan.schedule.push((number, change.change));
        }
        for change in file.rows {
            let number = plan.add(&file.family, backend, change.name, "opcode table");
            plan.rows.push((number, change.change));
        }
        for site in file.site {
            ensure!(!site.bugs.is_empty(), "{}: {:?} in {} has no bug", path.display(), site.find, site.file);
            let mut bugs = Vec::new();
            for bug in site.bugs {
                bugs.push((plan.add(&file.family, backend, bug.name, &site.file), bug.plant));
            }
            plan.sites.push(Site { file: site.file, find: site.find, bugs });
        }
    }
    let mut names = BTreeSet::new();
    for bug in &plan.bugs {
        if !names.insert(bug.name.as_str()) {
            bail!("two bugs are called {:?}", bug.name);
        }
    }
    Ok(plan)
}
