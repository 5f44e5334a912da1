//! Bugs that clients of Ethereum had, each a regression test on every backend. What must come out is written down by hand
//! from the EIPs; no backend is asked for it.

mod calls;
mod creations;
mod data;
mod precompiles;
mod transactions;
mod world;

use isolane::diff::backends::{self, Candidate};
use isolane::diff::case::{Case, batch};
use isolane::diff::compare::Exactness;
use isolane::spec::{ExecutionError, Outcome, Status};
use std::sync::OnceLock;
use world::Check;

/// Whether two ends are the same as far as a backend shows them: an independent one may name another reason.
fn same_end(expected: &Status, got: &Status, exactness: Exactness) -> bool {
    match (expected, got) {
        (Status::Halt(_), Status::Halt(_)) | (Status::Rejected(_), Status::Rejected(_))
            if exactness != Exactness::Everything =>
        {
            true
        }
        _ => expected == got,
    }
}

/// Runs all checks as one batch on a backend.
fn run(candidate: &Candidate, checks: &[Check]) {
    let name = candidate.name();
    let cases: Vec<Case> = checks.iter().map(|check| check.case.clone()).collect();
    let mut results = candidate.backend.execute(&batch(&cases)).into_iter();
    for Check { case, expected } in checks {
        for (index, expected) in expected.iter().enumerate() {
            let place = format!("{name}: {}, transaction {index}", case.name);
            let outcome = match results.next().expect("an outcome of each transaction") {
                Ok(outcome) => outcome,
                Err(ExecutionError::Unsupported(reason)) if candidate.exactness != Exactness::Everything => {
                    panic!("{place}: cannot be judged: {reason}")
                }
                Err(error) => panic!("{place}: {error}"),
            };
            assert!(
                same_end(&expected.status, &outcome.status, candidate.exactness),
                "{place}: expected {}, got {}",
                expected.status,
                outcome.status
            );
            if let Some(output) = &expected.output {
                assert_eq!(hex::encode(&outcome.output), hex::encode(output), "{place}: output");
            }
            if let Some(gas) = expected.gas_used {
                assert_eq!(outcome.gas_used, gas, "{place}: gas");
            }
            (expected.more)(&outcome);
        }
    }
    assert!(results.next().is_none(), "{name}: more outcomes than transactions");
}

/// The change of an account, if there is one.
pub fn change(outcome: &Outcome, address: isolane::spec::H160) -> Option<&isolane::spec::AccountDiff> {
    outcome.diff.iter().find(|change| change.address == address)
}

/// The backends that are always there, and graphics devices of hardware.
fn candidates() -> &'static [Candidate] {
    static FOUND: OnceLock<Vec<Candidate>> = OnceLock::new();
    FOUND.get_or_init(backends::found)
}

macro_rules! checklist {
    ($($(#[$doc:meta])* $name:ident => $checks:path,)*) => {
        $($(#[$doc])* #[test] fn $name() {
            let checks = $checks();
            assert!(!checks.is_empty());
            for candidate in candidates() {
                run(candidate, &checks);
            }
        })*

        fn all() -> Vec<Check> {
            [$($checks()),*].into_iter().flatten().collect()
        }
    };
}

checklist! {
    /// geth, CVE-2020-26241.
    identity_does_not_alias_the_memory => data::identity_aliasing,
    /// geth, mainnet block 13,107,518.
    an_overlapping_copy_leaves_the_return_data_alone => data::overlapping_copy,
    /// geth, GHSA-xw37-57qp-9mm4.
    a_destroyed_account_starts_again_with_what_it_is_sent => creations::funds_after_destruction,
    /// Besu, mainnet block 9,100,883.
    selfbalance_under_delegatecall_is_the_callers => calls::selfbalance_under_delegatecall,
    /// Besu, GHSA-7pg2-p5vj-xp5h.
    shifts_by_2_to_the_31_and_more_are_whole => data::wide_shifts,
    /// Besu, CVE-2022-36025.
    the_gas_of_a_call_is_unsigned => calls::unsigned_call_gas,
    /// Besu, mainnet block 18,947,893.
    a_contract_created_again_starts_without_storage => creations::created_again,
    /// Opcodes that went on with less than no gas.
    no_instruction_runs_on_gas_that_is_not_there => calls::one_gas_short,
    /// The order of two checks of CREATE.
    initcode_size_is_checked_before_the_balance => creations::initcode_before_balance,
    /// Nethermind, January 2024.
    the_text_of_a_revert_is_only_bytes => data::revert_text,
    /// Nethermind: SMOD; gas and memory of MODEXP.
    smod_has_the_sign_of_the_dividend => data::smod,
    /// Nethermind: gas and memory of MODEXP.
    modexp_neither_reads_nor_pays_for_what_is_not_there => precompiles::modexp,
    /// Nimbus: the index of BYTE was truncated.
    byte_looks_at_its_whole_index => data::byte_index,
    /// Nimbus: MODEXP failed where its result is zero.
    modexp_by_nothing_succeeds => precompiles::modexp_succeeds,
    /// revm, issue 1518.
    a_failed_create_leaves_slots_warm => creations::slots_stay_warm,
    /// revm, issue 3780.
    nothing_is_warm_after_an_error => transactions::warmth_after_errors,
    /// revm, issue 3616.
    blake2f_makes_more_than_12_rounds => precompiles::blake2f,
    /// revm, issue 124.
    sstore_fails_with_2300_gas => calls::sstore_sentry,
    /// EL-2025-59, EL-2025-29.
    bls_points_lie_on_the_curve => precompiles::bls_on_curve,
    /// execution-specs, issues 915 and 917.
    create2_checks_before_it_counts_and_leaves_nothing => creations::failed_create2,
    /// EL-2021-13.
    a_call_without_funds_resets_the_return_data => calls::return_data_after_refusal,
    /// EL-2025-28.
    an_authorization_with_a_parity_of_2_is_skipped => transactions::parity,
    /// isolane, mainnet block 24,647,140: a lane without room for all accounts ran without any.
    many_delegations_leave_storage_alone => transactions::many_delegations,
}

/// The device takes all of them as one batch. Where there is none, and none is expected, nothing runs here.
#[test]
fn a_software_device_passes_the_whole_list() {
    match backends::named(&["cpu".to_owned(), "gpu".to_owned()]) {
        Ok(there) => run(&there[1], &all()),
        Err(problem) => {
            assert!(std::env::var_os("ISOLANE_EXPECT_DEVICE").is_none(), "{problem}");
            println!("nothing ran: {problem}");
        }
    }
}

/// A check that expects something else fails, on each backend.
#[test]
fn the_checks_can_fail() {
    for candidate in candidates() {
        for wrong in 0..3 {
            let mut checks = data::identity_aliasing();
            let expected = &mut checks[0].expected[0];
            match wrong {
                0 => expected.status = Status::Revert,
                1 => expected.output = Some(vec![1; 32]),
                _ => expected.gas_used = Some(1),
            }
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(candidate, &checks)));
            assert!(failed.is_err(), "{}: {wrong}", candidate.name());
        }
    }
}
