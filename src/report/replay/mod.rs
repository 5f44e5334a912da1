//! What the journal of a folder of tables tells, as a page.

mod chart;
mod html;

pub use html::page;

use crate::tables::journal::{BlockRecord, Ended, Gas, Results, RunRecord};
use isolane_spec::Fork;
use std::collections::BTreeMap;

/// The sum over blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Gas.
    pub gas: u64,
    /// Blocks that match.
    pub matches: u64,
    /// Blocks that do not.
    pub mismatches: u64,
    /// Blocks that could not be executed.
    pub errors: u64,
    /// Blocks whose state root was verified.
    pub state_roots: u64,
    /// Seconds of loading, recovering senders, executing, verifying, over all threads.
    pub seconds: [f64; 4],
}

impl Sum {
    fn add(&mut self, block: &BlockRecord) {
        self.blocks += 1;
        self.transactions += block.transactions as u64;
        self.gas += block.gas_used;
        match block.result {
            Ended::Match => self.matches += 1,
            Ended::Mismatch => self.mismatches += 1,
            Ended::Error => self.errors += 1,
        }
        self.state_roots += u64::from(block.state_root);
        for (sum, seconds) in self.seconds.iter_mut().zip(block.seconds) {
            *sum += seconds;
        }
    }
}

/// A block on the time of all runs, one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Timed {
    /// When it was done.
    at: f64,
    /// How long a thread worked at it.
    busy: f64,
    gas: u64,
    transactions: u64,
}

/// Files, rows and bytes of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    files: u64,
    rows: u64,
    bytes: u64,
}

/// What a folder of tables came to.
#[derive(Clone, Debug)]
pub struct ReplayReport {
    /// The folder.
    name: String,
    /// How the tables were written.
    format: String,
    total: Sum,
    /// By chain and fork.
    groups: BTreeMap<(Option<u64>, Option<Fork>), Sum>,
    /// By origin and state of the data.
    sources: BTreeMap<(String, String), u64>,
    timed: Vec<Timed>,
    /// Seconds of all runs.
    wall: f64,
    runs: Vec<RunRecord>,
    opcodes: Vec<(String, Gas)>,
    contracts: Vec<(String, Gas)>,
    other_contracts: Gas,
    /// Blocks that do not match or could not be executed.
    problems: Vec<BlockRecord>,
    tables: BTreeMap<String, Size>,
}

/// The largest first.
fn sorted(all: BTreeMap<String, Gas>) -> Vec<(String, Gas)> {
    let mut list: Vec<_> = all.into_iter().filter(|(_, gas)| gas.gas > 0).collect();
    list.sort_by(|a, b| b.1.gas.cmp(&a.1.gas).then_with(|| a.0.cmp(&b.0)));
    list
}

impl ReplayReport {
    /// Sums up a journal.
    #[must_use]
    pub fn new(name: &str, results: Results) -> Self {
        let Results { header, chunks, runs } = results;
        let mut report = Self {
            name: name.to_owned(),
            format: header.format,
            total: Sum::default(),
            groups: BTreeMap::new(),
            sources: BTreeMap::new(),
            timed: Vec::new(),
            wall: 0.0,
            runs,
            opcodes: Vec::new(),
            contracts: Vec::new(),
            other_contracts: Gas::default(),
            problems: Vec::new(),
            tables: BTreeMap::new(),
        };
        let (mut opcodes, mut contracts) = (BTreeMap::<String, Gas>::new(), BTreeMap::<String, Gas>::new());
        let mut blocks = Vec::new();
        for chunk in chunks {
            for file in &chunk.files {
                let table = file.name.split("__").nth(1).unwrap_or_default();
                let size = report.tables.entry(table.to_owned()).or_default();
                size.files += 1;
                size.rows += file.done.rows;
                size.bytes += file.done.bytes;
            }
            if let Some(gas) = chunk.gas {
                gas.opcodes.into_iter().for_each(|(name, gas)| opcodes.entry(name).or_default().add(gas));
                gas.contracts.into_iter().for_each(|(name, gas)| contracts.entry(name).or_default().add(gas));
                report.other_contracts.add(gas.other_contracts);
            }
            blocks.extend(chunk.blocks);
        }
        (report.opcodes, report.contracts) = (sorted(opcodes), sorted(contracts));
        report.time(&blocks);
        for block in blocks {
            report.total.add(&block);
            let fork = block.fork.as_deref().and_then(|name| name.parse().ok());
            report.groups.entry((block.chain_id, fork)).or_default().add(&block);
            *report.sources.entry((block.origin.clone(), block.state.clone())).or_default() += 1;
            if block.result != Ended::Match {
                report.problems.push(block);
            }
        }
        report
    }

    /// Puts the runs one after another. Of a run that was stopped only the time up to its last block counts.
    fn time(&mut self, blocks: &[BlockRecord]) {
        let mut lasts = BTreeMap::<u64, f64>::new();
        for block in blocks {
            let last = lasts.entry(block.run).or_default();
            *last = last.max(block.at);
        }
        let mut starts = BTreeMap::new();
        for (run, last) in lasts {
            starts.insert(run, self.wall);
            let known = self.runs.iter().find(|record| record.run == run).and_then(|record| record.wall);
            self.wall += known.unwrap_or(last).max(last);
        }
        self.timed = blocks
            .iter()
            .map(|block| Timed {
                at: starts.get(&block.run).copied().unwrap_or_default() + block.at,
                busy: block.seconds.iter().sum(),
                gas: block.gas_used,
                transactions: block.transactions as u64,
            })
            .collect();
        self.timed.sort_by(|a, b| a.at.total_cmp(&b.at));
    }

    /// Million gas a second, from start to end.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        if self.wall > 0.0 { self.total.gas as f64 / 1e6 / self.wall } else { 0.0 }
    }

    /// Threads that were at work on average.
    fn parallel(&self) -> f64 {
        if self.wall > 0.0 { self.total.seconds.iter().sum::<f64>() / self.wall } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::journal::Lanes;
    use crate::tables::journal::{ChunkRecord, Difference, FileRecord, GasRecord, Header};

    fn block(run: u64, at: f64, result: Ended) -> BlockRecord {
        BlockRecord {
            input: String::new(),
            file: "a<b>.json".into(),
            chain_id: Some(1),
            hash: None,
            number: Some(17),
            fork: Some("Cancun".into()),
            transactions: 3,
            gas_used: 2_000_000,
            result,
            problem: (result != Ended::Match).then(|| "mismatch: gas".into()),
            differences: if result == Ended::Mismatch {
                vec![Difference {
                    transaction_index: Some(2),
                    transaction_hash: Some("0x17".into()),
                    field: "gasUsed".into(),
                    expected: "1".into(),
                    got: "<script>".into(),
                }]
            } else {
                Vec::new()
            },
            state: "witness".into(),
            origin: "file".into(),
            state_root: true,
            seconds: [0.1, 0.2, 0.3, 0.4],
            run,
            at,
        }
    }

    fn results() -> Results {
        let gas = |gas| Gas { count: 1, gas };
        Results {
            header: Header {
                schema: String::new(),
                version: String::new(),
                tables: vec!["logs".into()],
                format: "parquet".into(),
                u256_types: Vec::new(),
                chunk_size: 2,
                chain_config: None,
            },
            chunks: vec![
                ChunkRecord {
                    chunk: 0,
                    files: vec![FileRecord {
                        name: "ethereum__logs__00000001_to_00000002.parquet".into(),
                        done: serde_json::from_str(r#"{"rows":7,"bytes":100,"sha256":""}"#).expect("a record"),
                    }],
                    blocks: vec![block(1, 1.0, Ended::Match), block(1, 2.0, Ended::Mismatch)],
                    gas: Some(GasRecord {
                        opcodes: [("ADD".to_owned(), gas(3)), ("SLOAD".to_owned(), gas(2100))].into(),
                        contracts: [("1:0xaa".to_owned(), gas(2000))].into(),
                        other_contracts: gas(103),
                    }),
                },
                ChunkRecord { chunk: 1, files: Vec::new(), blocks: vec![block(3, 0.5, Ended::Error)], gas: None },
            ],
            runs: vec![
                RunRecord { run: 1, backend: String::new(), threads: 0, wall: None, lanes: None },
                RunRecord {
                    run: 3,
                    backend: "gpu".into(),
                    threads: 2,
                    wall: Some(4.0),
                    lanes: Some(Lanes {
                        adapter: "a device".into(),
                        device: 5,
                        host: 1,
                        fallback: 3,
                        reasons: [("a precompile".to_owned(), 3)].into(),
                    }),
                },
            ],
        }
    }

    #[test]
    fn runs_follow_one_another() {
        let report = ReplayReport::new("results", results());
        let ends: Vec<f64> = report.timed.iter().map(|block| block.at).collect();
        assert_eq!(ends, [1.0, 2.0, 2.5]);
        assert!((report.wall - 6.0).abs() < 1e-9 && (report.rate() - 1.0).abs() < 1e-9);
        assert_eq!((report.total.matches, report.total.mismatches, report.total.errors), (1, 1, 1));
        assert_eq!(report.opcodes.first().map(|(name, _)| name.as_str()), Some("SLOAD"));
        assert_eq!(report.problems.len(), 2);
    }

    #[test]
    fn the_page_has_everything_and_nothing_from_outside_leaves_its_place() {
        let page = page(&ReplayReport::new("a & b", results()));
        let parts = [
            "a &amp; b",
            "a&lt;b&gt;.json",
            "&lt;script&gt;",
            "SLOAD",
            "0xaa",
            "a precompile",
            "a device",
            "Throughput",
            "<svg",
        ];
        for part in parts {
            assert!(page.contains(part), "{part}");
        }
        assert!(
            !page.contains("<script") && !page.contains("href=") && !page.contains(" src="),
            "it needs nothing else"
        );
    }

    #[test]
    fn an_empty_folder_has_a_page_as_well() {
        let empty = Results { chunks: Vec::new(), runs: Vec::new(), ..results() };
        assert!(page(&ReplayReport::new("x", empty)).contains("</html>"));
    }
}
