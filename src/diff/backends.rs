//! The backends of this machine that can be compared.

use super::compare::Exactness;
use super::levels::Levels;
use super::trace::{self, Trace};
use crate::gpu::{BackendArgs, BackendKind};
use isolane_cpu::Reference;
use isolane_spec::{Backend, Environment, ExecutionError, Transaction};

/// Runs the last of these transactions step by step, after the others.
pub type Tracer = fn(&Environment, &[Transaction]) -> Result<Trace, ExecutionError>;

/// A backend that is compared with the others.
pub struct Candidate {
    /// It.
    pub backend: Box<dyn Backend + Send>,
    /// How much of its outcomes has to be equal to those of isolane's other backends.
    pub exactness: Exactness,
    /// How it is watched step by step, where it can be.
    pub tracer: Option<Tracer>,
    /// It takes environment by environment, so that large batches gain it nothing.
    pub one_by_one: bool,
}

impl Candidate {
    /// A backend of isolane's: equal to the last bit.
    #[must_use]
    pub fn exact(backend: impl Backend + Send + 'static) -> Self {
        Self { backend: Box::new(backend), exactness: Exactness::Everything, tracer: None, one_by_one: false }
    }

    /// An independent implementation.
    #[must_use]
    pub fn oracle(backend: impl Backend + Send + 'static) -> Self {
        Self { backend: Box::new(backend), exactness: Exactness::Reasons, tracer: None, one_by_one: false }
    }

    /// The same with a way to watch it.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer: Some(tracer), ..self }
    }

    /// The same, for one that gains nothing from large batches.
    #[must_use]
    pub fn one_by_one(self) -> Self {
        Self { one_by_one: true, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.backend.name()
    }
}

/// A graphics device; a software one only where it is asked for, because it takes half a minute to compile at first.
fn device(software: bool) -> Result<Candidate, String> {
    let backend = if software { BackendKind::Gpu } else { BackendKind::Auto };
    let arguments = BackendArgs { backend, ..BackendArgs::default() };
    match arguments.open() {
        Ok(Some(gpu)) => Ok(Candidate::exact(gpu)),
        Ok(None) => Err("no graphics device".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// All backends that are there, the one that the others are compared with first. Of graphics devices those of hardware.
#[must_use]
pub fn found() -> Vec<Candidate> {
    let traced: Tracer = |environment, transactions| Ok(trace::reference(environment, transactions));
    let mut list = vec![Candidate::exact(Reference).traced(traced).one_by_one()];
    #[cfg(feature = "revm")]
    list.push(Candidate::oracle(super::oracle::Revm).traced(super::oracle::trace).one_by_one());
    list.push(Candidate::exact(Levels::found()));
    list.extend(device(false));
    list
}

/// The backends with these names, in this order.
///
/// # Errors
/// When one of them is not there, with the names of those that are.
pub fn named(names: &[String]) -> Result<Vec<Candidate>, String> {
    let mut there = found();
    if names.iter().any(|name| name == "gpu") && !there.iter().any(|candidate| candidate.name() == "gpu") {
        there.push(device(true).map_err(|error| format!("backend \"gpu\": {error}"))?);
    }
    let known: Vec<&str> = there.iter().map(Candidate::name).collect();
    let known = known.join(", ");
    let mut list = Vec::new();
    for name in names {
        match there.iter().position(|candidate| candidate.name() == name) {
            Some(index) => list.push(there.swap_remove(index)),
            None => return Err(format!("backend {name:?}: expected each of {known} at most once")),
        }
    }
    if list.len() < 2 {
        return Err(format!("expected at least two backends to compare, got {}; there are {known}", list.len()));
    }
    Ok(list)
}
