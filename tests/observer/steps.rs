//! EIP-3155 lines and call frames against revm's, line by line and frame by frame.

use crate::cases::Case;
use crate::peer::{inspect, number};
use isolane::cpu::Machine;
use isolane::cpu::observer::{Observer, StepEnd};
use isolane::spec::opcode::op;
use isolane::spec::{Fork, TransactionType};
use isolane::trace::{CallFrame, CallFrames, Details, Eip3155, FrameKind, Label};
use serde_json::Value;

/// The whole cost of each step.
#[derive(Default)]
struct Costs(Vec<StepEnd>);

impl Observer for Costs {
    fn step_end(&mut self, end: &StepEnd) {
        self.0.push(*end);
    }
}

#[derive(Debug, Default)]
struct Compared {
    cases: u64,
    lines: u64,
    frames: u64,
    unjudged: u64,
    /// Passed over: more lines than [`LONGEST`].
    long: u64,
}

/// The longest execution that is compared, in instructions: traces of millions of lines take minutes to parse.
const LONGEST: u64 = 4_000;

/// Compares all cases; panics on the first difference of each of a few cases.
pub fn compare_all(cases: &[Case]) {
    let mut compared = Compared::default();
    let mut problems = Vec::new();
    for case in cases {
        if let Err(problem) = compare(case, &mut compared) {
            problems.push(format!("{}: {problem}", case.place));
        }
    }
    println!("{compared:?}");
    let shown = problems.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(problems.is_empty(), "{} of {} cases differ:\n{shown}", problems.len(), cases.len());
    assert!(compared.cases > 1_000 && compared.lines > 10_000 && compared.frames > 1_000, "{compared:?}");
}

fn compare(case: &Case, compared: &mut Compared) -> Result<(), String> {
    let no_creation = matches!(case.transaction.transaction_type, TransactionType::Blob | TransactionType::SetCode);
    if case.collision || no_creation && case.transaction.to.is_none() {
        compared.unjudged += 1;
        return Ok(());
    }
    let unobserved = Machine::new(case.environment.clone()).transact(&case.transaction, case.available);
    if unobserved.map_err(|error| error.to_string())?.steps > LONGEST {
        compared.long += 1;
        return Ok(());
    }
    let Some((theirs, their_frames)) = inspect(case) else {
        compared.unjudged += 1;
        return Ok(());
    };
    let fork = case.environment.rules.fork;
    let details = Details { memory: true, return_data: false };
    let mut observers = (Eip3155::new(Vec::new(), fork, details), (CallFrames::default(), Costs::default()));
    let outcome = Machine::new(case.environment.clone())
        .transact_observed(&case.transaction, case.available, &mut observers)
        .map_err(|error| error.to_string())?;
    let (mut trace, (mut calls, costs)) = observers;
    trace.finish(&Label::default(), None);
    let ours = String::from_utf8(trace.into_inner()).map_err(|error| error.to_string())?;
    let parse = |text: &str| -> Result<Vec<Value>, String> {
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
    };
    let mut ours = parse(&ours)?;
    let summary = ours.pop().ok_or("no summary")?;
    if summary["pass"] != outcome.status.is_success() || text(&summary, "gasUsed") != format!("{:#x}", outcome.gas_used)
    {
        return Err(format!("the summary {summary} is not of {:?}", outcome.status));
    }
    let theirs: Vec<Value> = parse(&theirs)?.into_iter().filter(|line| line.get("pc").is_some()).collect();
    compare_lines(&ours, &theirs, &costs.0, fork, compared)?;
    compare_frames(&calls.take(), &their_frames, compared)?;
    compared.cases += 1;
    Ok(())
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_else(|| panic!("no text {field} in {line}"))
}

fn compare_lines(
    ours: &[Value],
    theirs: &[Value],
    costs: &[StepEnd],
    fork: Fork,
    compared: &mut Compared,
) -> Result<(), String> {
    // An authority that exists is refunded before the first instruction; revm counts that apart.
    let first = ours.first().map_or(0, |line| line["refund"].as_i64().unwrap_or_default());
    // revm counts refunds by frame, geth and isolane by transaction.
    let mut refunds: Vec<i64> = Vec::new();
    for (index, (our, their)) in ours.iter().zip(theirs).enumerate() {
        let differ = |what: &str| Err(format!("line {index}, {what}: isolane {our}, revm {their}"));
        for field in ["pc", "op", "depth", "gas", "stack", "memory"] {
            if our[field] != their[field] {
                return differ(field);
            }
        }
        if number(text(their, "memSize")) != our["memSize"].as_u64().unwrap_or(u64::MAX).into() {
            return differ("memSize");
        }
        let end = &costs[index];
        let halted = match their["error"].as_str() {
            None | Some("Stop" | "Return" | "SelfDestruct") => false,
            Some("Revert") => {
                if our["error"] != "execution reverted" {
                    return differ("error");
                }
                false
            }
            Some(_) => true,
        };
        if halted != end.halt.is_some() || halted && our.get("error").is_none() {
            return differ("error");
        }
        if !halted {
            let cost = number(text(their, "gasCost")).low_u64();
            let own = if matches!(end.opcode, op::CREATE | op::CREATE2) { end.cost - end.given } else { end.cost };
            if cost != end.cost || text(our, "gasCost") != format!("{own:#x}") {
                return differ("gasCost");
            }
        }
        let name = match their["opName"].as_str() {
            Some("DIFFICULTY") => "PREVRANDAO",
            Some(name) => name,
            None => "opcode",
        };
        let defined = isolane::spec::opcode::Opcode::of(end.opcode, fork).is_some();
        if defined && !text(our, "opName").starts_with(name) {
            return differ("opName");
        }
        let depth = our["depth"].as_u64().unwrap_or_default() as usize;
        refunds.resize(depth, 0);
        refunds[depth - 1] = number(text(their, "refund")).low_u64() as i64;
        if our["refund"].as_i64() != Some(refunds.iter().sum::<i64>() + first) {
            return differ("refund");
        }
        compared.lines += 1;
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} lines, revm {}", ours.len(), theirs.len()));
    }
    Ok(())
}

fn compare_frames(ours: &[CallFrame], theirs: &[CallFrame], compared: &mut Compared) -> Result<(), String> {
    // revm tells of a SELFDESTRUCT only where Ether moves or the account goes.
    let calls: Vec<&CallFrame> = ours.iter().filter(|frame| frame.kind != FrameKind::SelfDestruct).collect();
    if calls.len() != theirs.len() {
        return Err(format!("{} frames, revm {}", calls.len(), theirs.len()));
    }
    for (our, their) in calls.iter().zip(theirs) {
        let mut normal = CallFrame::clone(our);
        if calls.len() != ours.len() {
            // A SELFDESTRUCT is a frame too, and moves those after it.
            normal.trace_address.clone_from(&their.trace_address);
            normal.subtraces = their.subtraces;
        }
        normal.precompile = false;
        if normal.trace_address.len() != our.trace_address.len() || normal.error.is_some() != their.error.is_some() {
            return Err(format!("frame: isolane {our:?}, revm {their:?}"));
        }
        normal.error.clone_from(&their.error);
        if matches!(our.kind, FrameKind::Call(kind) if kind.is_create()) {
            // revm only knows the address of one that came into being.
            if their.created.is_some_and(|created| created != normal.to) {
                return Err(format!("created: isolane {our:?}, revm {their:?}"));
            }
            normal.to = their.to;
        }
        if normal != *their {
            return Err(format!("frame: isolane {our:?}, revm {their:?}"));
        }
        compared.frames += 1;
    }
    Ok(())
}
