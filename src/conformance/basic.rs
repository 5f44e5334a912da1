use super::Verdict;
use super::runner::Place;
use crate::load::fixtures::{Kind, Test};
pub(super) fn run(test: &Test<'_, '_>, kind: Kind, place: Place<'_>) {
    place.case(&test.name, "-", || Verdict::Unchecked(format!("{kind}")));
}
