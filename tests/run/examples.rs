//! The examples do what they say.

use super::world::{example, read, run};
use isolane::cpu::exchange::balance;
use isolane::engine::{Engine, EpochReport};
use isolane::exchange::Event;
use isolane::spec::{EnvironmentId, Failure, H160, Halt, StateView as _, Status, U256};
use std::process::Command;

fn play(name: &str) -> (Engine, Vec<EpochReport>) {
    let mut engine = read(&example(name)).engine().expect("an engine");
    let reports = run(&mut engine, 500);
    assert!(engine.is_idle(), "{name} has no end");
    (engine, reports)
}

fn address(text: &str) -> H160 {
    text.parse().expect("an address")
}

/// What an account holds of another environment's asset, in thousandths of an ether.
fn abroad(engine: &Engine, environment: &str, asset: &str, account: &str) -> u64 {
    let asset = EnvironmentId::new(asset).expect("a name");
    let state = engine.state(environment).expect("an environment");
    let value = balance(state, &asset, &address(account)).expect("a balance");
    (value / U256::from(10).pow(15.into())).low_u64()
}

fn slot(engine: &Engine, environment: &str, account: &str, slot: u64) -> u64 {
    let state = engine.state(environment).expect("an environment");
    state.storage(&address(account), &slot.into()).expect("a slot").low_u64()
}

const ALICE: &str = "0xa11ce00000000000000000000000000000000001";
const BOB: &str = "0xb0b0000000000000000000000000000000000002";
const CAROL: &str = "0xca20100000000000000000000000000000000003";
const DAVE: &str = "0xda7e000000000000000000000000000000000004";

#[test]
fn multi_chain() {
    let (engine, reports) = play("multi-chain");
    assert_eq!(abroad(&engine, "rollup", "mainnet", BOB), 1500);
    assert_eq!(abroad(&engine, "sidechain", "mainnet", CAROL), 1000);
    assert_eq!(abroad(&engine, "archive", "mainnet", DAVE), 750);
    assert_eq!(abroad(&engine, "archive", "mainnet", "0xe4e0000000000000000000000000000000000006"), 250);
    assert_eq!(abroad(&engine, "sidechain", "rollup", CAROL), 2000);
    let alice = engine.state("mainnet").expect("there").account(&address(ALICE)).expect("known").expect("there");
    // 100, less 3 and 1 that are away, plus the 0.5 that came home; 0.75 came back.
    assert_eq!(alice.balance, U256::from(965) * U256::from(10).pow(17.into()));
    let asset = |name: &str| {
        let report = &reports.last().expect("epochs").exchange;
        let found = report.assets.iter().find(|asset| asset.asset.to_string() == name).copied().expect("an asset");
        (found.locked / U256::from(10).pow(15.into())).low_u64()
    };
    assert_eq!((asset("mainnet"), asset("rollup"), asset("sidechain")), (3500, 2000, 0));

    // Tokens: 100 went to the rollup, 40 of them on to the sidechain, 15 of these to Dave; 7 came back from the archive.
    let supply = |environment| slot(&engine, environment, "0x7000000000000000000000000000000000000001", 1);
    assert_eq!(["mainnet", "rollup", "sidechain", "archive"].map(supply), [900, 60, 40, 0]);
    let failures: Vec<Failure> = reports
        .iter()
        .flat_map(|report| &report.exchange.entries)
        .filter_map(|entry| match entry.event {
            Event::Failed(failure) => Some(failure),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [Failure::GasAboveInbox, Failure::Denied, Failure::Reverted]);

    // PUSH0: the sidechain has it before its fork does, the archive chain does not.
    let first =
        |environment: usize| reports[0].environments[environment].executions[0].result.clone().expect("an outcome");
    assert_eq!(first(2).status, Status::Success);
    assert_eq!(first(3).status, Status::Halt(Halt::UndefinedOpcode));
}

#[test]
fn app_chains() {
    let (engine, reports) = play("app-chains");
    const FEED: &str = "0xfeed000000000000000000000000000000000001";
    const MARKET: &str = "0xda7a000000000000000000000000000000000002";
    assert_eq!((slot(&engine, "prices", FEED, 0), slot(&engine, "trades", MARKET, 1)), (90, 90));
    // 5 at 100, 2 at 120, 10 at 90.
    assert_eq!((slot(&engine, "trades", MARKET, 0), slot(&engine, "prices", FEED, 1)), (1640, 1640));
    let trades: Vec<Status> = reports
        .iter()
        .flat_map(|report| &report.environments[1].executions)
        .map(|execution| execution.result.clone().expect("an outcome").status)
        .collect();
    assert_eq!(trades[0], Status::Revert, "no price yet");
    assert!(trades[1..].iter().all(|status| *status == Status::Success), "always in step: {trades:?}");
    let stats = engine.stats("prices").expect("there");
    assert_eq!((stats.succeeded, stats.denied["Sender"]), (3, 1), "only the oracle may send");
    // A change is heard of at the start of the next epoch.
    for report in &reports {
        for delivered in report.environments.iter().flat_map(|environment| &environment.deliveries) {
            assert_eq!(delivered.delivery.message.epoch + 1, report.epoch);
        }
    }
}

#[test]
fn tenants() {
    let (engine, _) = play("tenants");
    let stats = |name: &str| engine.stats(name).expect("there").clone();
    assert_eq!((stats("gold").succeeded, stats("bronze").succeeded), (2000, 600));
    assert_eq!((stats("silver").succeeded, stats("silver").reverted), (1200, 10));
    let mallory = stats("mallory");
    assert_eq!(mallory.executed(), 100);
    assert_eq!(mallory.exceeded["Steps"], 40, "every endless loop is cut");
}

/// The tool runs each of them, and its outputs hold together.
#[test]
fn the_tool_runs_all_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["multi-chain", "app-chains", "tenants"] {
        let (out, page) = (folder.path().join(name), folder.path().join(format!("{name}.html")));
        let run = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
            command.arg("run").arg(example(name)).args(more);
            let output = command.output().expect("it runs");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
        let lines = run(&["--json", "--out", &path(&out), "--html", &path(&page)]);
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let summary = lines.last().expect("a summary");
        assert!(lines.iter().all(|line| line["schema"] == "isolane-run/1"));
        assert_eq!((&summary["type"], summary["epochs"].as_u64()), (&"summary".into(), Some(lines.len() as u64 - 1)));
        let text = run(&["--threads", "7"]);
        let digest = summary["digest"].as_str().expect("a digest");
        assert!(text.ends_with(&format!("digest {digest}\n")), "{name}: one digest: {text}");
        let html = std::fs::read_to_string(&page).expect("a page");
        assert!(html.contains(digest) && html.contains("<svg") && html.ends_with("</html>\n"));
        assert!(!html.contains("http://") || !html.contains("<script"), "self-contained");
        assert!(html.matches("<section").count() == html.matches("</section>").count());
        // A state that was written out is one that a manifest can start from, with the same root.
        for environment in summary["environments"].as_array().expect("environments") {
            let name = environment["name"].as_str().expect("a name");
            let root = environment["stateRoot"].as_str().expect("a root");
            let state = out.join("states").join(format!("{name}.json"));
            let manifest = format!(
                "[environment.again]\nfork = \"prague\"\nstate = {{ base = \"{}\", root = \"{root}\" }}\n",
                state.display()
            );
            super::world::plan(&manifest);
        }
    }
}
