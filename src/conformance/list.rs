//! Which cases to run.

use isolane_spec::Fork;

/// Chooses cases.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A fork by any of its names, or a network such as `ShanghaiToCancunAtTime15k`; `None` = all.
    pub fork: Option<String>,
    /// A part of `DOCUMENT::CASE`; `None` = all.
    pub filter: Option<String>,
}

/// The name of a case: what [`Selection::filter`] is matched against.
pub(super) fn id(file: &str, case: &str) -> String {
    format!("{file}::{case}")
}

impl Selection {
    /// Whether any case of the document can be meant, so that others need not be parsed.
    #[must_use]
    pub fn may_hold(&self, file: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| match filter.split_once("::") {
            Some((end, _)) => file.ends_with(end),
            None => true,
        })
    }

    /// Whether this case is meant.
    #[must_use]
    pub fn holds(&self, file: &str, case: &str, fork: &str) -> bool {
        let by_fork = self.fork.as_deref().is_none_or(|wanted| {
            wanted.eq_ignore_ascii_case(fork)
                || wanted.parse::<Fork>().is_ok_and(|wanted| fork.parse::<Fork>() == Ok(wanted))
        });
        by_fork && self.filter.as_deref().is_none_or(|filter| id(file, case).contains(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_match_by_any_name_and_filters_by_part() {
        let selection = Selection { fork: Some("SpuriousDragon".into()), filter: Some("b.json::x".into()) };
        assert!(selection.may_hold("pack:a/b.json") && !selection.may_hold("pack:a/c.json"));
        assert!(selection.holds("pack:a/b.json", "x [EIP158 d0 g0 v0]", "EIP158"));
        assert!(!selection.holds("pack:a/b.json", "x", "Byzantium"));
        assert!(!selection.holds("pack:a/b.json", "y", "EIP158"));
        assert!(Selection::default().holds("f", "c", "-"));
    }
}
