//! What the tables hold, against what the packs recorded, and against each other.

use super::{Row, get, number, of_table, packs, read_pack, replay, replay_bundled, root, rows};
use alloy_consensus::{Block, BlockBody, Header, TxEnvelope};
use alloy_eips::eip4895::Withdrawals;
use isolane::spec::U256;
use isolane::tables::Table;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A number of JSON-RPC in decimal digits.
fn decimal(value: &Value) -> Option<String> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    U256::from_str_radix(digits, 16).ok().map(|number| number.to_string())
}

fn lower(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

/// The receipts and logs of the packs, field by field: what a node recorded against what the tables hold.
#[test]
fn parquet_holds_the_receipts_that_the_packs_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    replay_bundled(folder.path(), &["--tables", "receipts,logs,transactions,blocks"]);
    let (receipts, logs) = (rows(folder.path(), "receipts"), rows(folder.path(), "logs"));
    let (transactions, blocks) = (rows(folder.path(), "transactions"), rows(folder.path(), "blocks"));
    assert_eq!(receipts.len(), transactions.len());
    let (mut receipts, mut logs, mut transactions) = (receipts.iter(), logs.iter(), transactions.iter());
    let (mut compared, mut compared_logs) = (0, 0);
    for (path, block) in packs().iter().zip(&blocks) {
        let pack = read_pack(path);
        let header = &pack["block"];
        for (column, field) in [
            ("block_hash", "hash"),
            ("parent_hash", "parentHash"),
            ("author", "miner"),
            ("state_root", "stateRoot"),
            ("receipts_root", "receiptsRoot"),
            ("transactions_root", "transactionsRoot"),
            ("logs_bloom", "logsBloom"),
            ("extra_data", "extraData"),
            ("withdrawals_root", "withdrawalsRoot"),
        ] {
            assert_eq!(get(block, column).map(str::to_owned), lower(&header[field]), "{}: {column}", path.display());
        }
        for (column, field) in [
            ("block_number", "number"),
            ("gas_used", "gasUsed"),
            ("gas_limit", "gasLimit"),
            ("timestamp", "timestamp"),
            ("base_fee_per_gas", "baseFeePerGas"),
        ] {
            assert_eq!(get(block, column).map(str::to_owned), decimal(&header[field]), "{}: {column}", path.display());
        }
        let mut log_index = 0;
        let recorded = pack["receipts"].as_array().expect("receipts");
        for (index, expected) in recorded.iter().enumerate() {
            let place = format!("{}: receipt {index}", path.display());
            let row = receipts.next().expect("a receipt");
            let sent = transactions.next().expect("a transaction");
            for (column, field) in [
                ("block_number", "blockNumber"),
                ("transaction_index", "transactionIndex"),
                ("transaction_type", "type"),
                ("gas_used", "gasUsed"),
                ("cumulative_gas_used", "cumulativeGasUsed"),
                ("effective_gas_price", "effectiveGasPrice"),
            ] {
                assert_eq!(get(row, column).map(str::to_owned), decimal(&expected[field]), "{place}: {column}");
            }
            for (column, field) in [
                ("block_hash", "blockHash"),
                ("transaction_hash", "transactionHash"),
                ("from_address", "from"),
                ("to_address", "to"),
                ("contract_address", "contractAddress"),
                ("logs_bloom", "logsBloom"),
            ] {
                assert_eq!(get(row, column).map(str::to_owned), lower(&expected[field]), "{place}: {column}");
            }
            if let Some(status) = expected["status"].as_str() {
                assert_eq!(get(row, "success"), Some(if status == "0x1" { "true" } else { "false" }), "{place}");
            }
            for column in ["block_hash", "transaction_hash", "from_address", "to_address", "gas_used", "success"] {
                assert_eq!(get(row, column), get(sent, column), "{place}: {column}");
            }
            assert_eq!(get(row, "effective_gas_price"), get(sent, "gas_price"), "{place}");
            let list = expected["logs"].as_array().expect("logs");
            assert_eq!(number(row, "n_logs"), list.len() as u64, "{place}");
            for log in list {
                let row = logs.next().expect("a log");
                assert_eq!(number(row, "log_index"), log_index, "{place}");
                assert_eq!(get(row, "transaction_hash").map(str::to_owned), lower(&expected["transactionHash"]));
                assert_eq!(get(row, "address").map(str::to_owned), lower(&log["address"]), "{place}");
                assert_eq!(get(row, "data").map(str::to_owned), lower(&log["data"]), "{place}");
                for (topic, column) in ["topic0", "topic1", "topic2", "topic3"].into_iter().enumerate() {
                    let expected = log["topics"].get(topic).and_then(lower);
                    assert_eq!(get(row, column).map(str::to_owned), expected, "{place}: {column}");
                }
                log_index += 1;
                compared_logs += 1;
            }
            compared += 1;
        }
    }
    assert!(compared > 5000 && compared_logs > 1000, "{compared} receipts and {compared_logs} logs");
    assert!(receipts.next().is_none() && logs.next().is_none() && transactions.next().is_none(), "nothing more");
}

/// The size of a block is the length of its RLP, which alloy computes from the JSON by itself.
#[test]
fn the_size_of_a_block_is_that_of_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    replay_bundled(folder.path(), &["--tables", "blocks"]);
    let (mut with_withdrawals, mut with_ommers) = (0, 0);
    for (path, row) in packs().iter().zip(&rows(folder.path(), "blocks")) {
        let pack = read_pack(path);
        let block = &pack["block"];
        let transactions = block["transactions"].as_array().expect("transactions").iter();
        let transactions = transactions.map(|json| {
            let mut json = json.clone();
            // Blobs are not part of a block.
            for key in ["blobs", "commitments", "proofs"] {
                json.as_object_mut().expect("a transaction").remove(key);
            }
            serde_json::from_value::<TxEnvelope>(json).expect("a transaction")
        });
        let header = serde_json::from_value::<Header>(block.clone()).expect("a header");
        let withdrawals = block.get("withdrawals").filter(|list| !list.is_null());
        let withdrawals: Option<Withdrawals> =
            withdrawals.map(|list| serde_json::from_value(list.clone()).expect("withdrawals"));
        with_withdrawals += u64::from(withdrawals.as_ref().is_some_and(|list| !list.is_empty()));
        let ommers = pack["ommers"].as_array().into_iter().flatten();
        let ommers: Vec<Header> =
            ommers.map(|json| serde_json::from_value(json.clone()).expect("an ommer's header")).collect();
        with_ommers += u64::from(!ommers.is_empty());
        let body = BlockBody { transactions: transactions.collect(), ommers, withdrawals };
        let bytes = alloy_rlp::encode(Block { header, body });
        assert_eq!(number(row, "size"), bytes.len() as u64, "{}", path.display());
    }
    assert!(with_withdrawals > 0 && with_ommers > 0, "packs have withdrawals and ommers");
}

fn word(row: &Row, column: &str) -> U256 {
    U256::from_dec_str(get(row, column).expect("a value")).expect("a number")
}

type Place = (String, Option<String>);

fn place(row: &Row) -> Place {
    (get(row, "block_number").expect("a number").to_owned(), get(row, "transaction_hash").map(str::to_owned))
}

/// Balances follow from transfers and fees, transaction by transaction.
#[test]
fn transfers_and_fees_explain_the_balances() {
    let (mut explained, mut burnt) = (0, 0);
    let chains = fs::read_dir(root().join("testdata/blocks/anvil")).expect("the bundled chains");
    for chain in chains.map(|entry| entry.expect("an entry").path()) {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(replay(&[&chain], folder.path(), &["--tables", "all"]).status.success());
        let (more_explained, more_burnt) = explain(folder.path());
        explained += more_explained;
        burnt += more_burnt;
    }
    assert!(explained > 10_000 && burnt < 200, "{explained} explained, {burnt} burnt");
}

/// How many changes of balances follow from transfers and fees, and how many are of accounts that were destroyed.
fn explain(folder: &Path) -> (u64, u64) {
    let blocks: BTreeMap<String, (String, U256)> = rows(folder, "blocks")
        .iter()
        .map(|row| {
            let fee = get(row, "base_fee_per_gas").unwrap_or("0");
            let author = get(row, "author").expect("an author").to_owned();
            (get(row, "block_hash").expect("a hash").to_owned(), (author, U256::from_dec_str(fee).expect("a number")))
        })
        .collect();
    // What each account should have gained and lost.
    let mut gained = BTreeMap::<(Place, String), (U256, U256)>::new();
    let mut add = |place: &Place, account: &str, amount: U256, gains: bool| {
        let entry = gained.entry((place.clone(), account.to_owned())).or_default();
        if gains { entry.0 += amount } else { entry.1 += amount }
    };
    for row in &rows(folder, "native_transfers") {
        if get(row, "transaction_hash").is_some() {
            let (from, to) = (get(row, "from_address").expect("from"), get(row, "to_address").expect("to"));
            add(&place(row), from, word(row, "value_string"), false);
            add(&place(row), to, word(row, "value_string"), true);
        }
    }
    let receipts = rows(folder, "receipts");
    for row in &receipts {
        let (author, base_fee) = &blocks[get(row, "block_hash").expect("a hash")];
        let (gas, price) = (word(row, "gas_used"), word(row, "effective_gas_price"));
        let blob =
            |column| get(row, column).map_or_else(U256::zero, |digits| U256::from_dec_str(digits).expect("a number"));
        add(&place(row), get(row, "from_address").expect("from"), gas * price, false);
        add(
            &place(row),
            get(row, "from_address").expect("from"),
            blob("blob_gas_used") * blob("blob_gas_price"),
            false,
        );
        add(&place(row), author, gas * (price - base_fee), true);
    }
    let (mut explained, mut burnt) = (0, 0);
    for row in &rows(folder, "balance_diffs") {
        if get(row, "transaction_hash").is_none() {
            continue;
        }
        let key = (place(row), get(row, "address").expect("an address").to_owned());
        let (gains, losses) = gained.remove(&key).unwrap_or_default();
        let (before, after) = (word(row, "from_value_string"), word(row, "to_value_string"));
        if before + gains == after + losses {
            explained += 1;
        } else {
            // An account that was destroyed takes what it has with it.
            assert!(after.is_zero(), "{key:?}: {before} + {gains} - {losses} is not {after}");
            burnt += 1;
        }
    }
    for (key, (gains, losses)) in gained {
        // Accounts that came into being and were destroyed in one transaction have no diff.
        burnt += u64::from(gains != losses);
        assert!(gains >= losses, "{key:?} lost {losses} of nothing");
    }
    (explained, burnt)
}

/// Diffs follow one another: each starts where the one before it ended, and the last ones are the recorded post-state.
#[test]
fn diffs_lead_to_the_recorded_post_state() {
    let folder = tempfile::tempdir().expect("a folder");
    replay_bundled(folder.path(), &["--tables", "state_diffs,blocks", "--chunk-size", "1"]);
    let mut compared = 0;
    for (index, path) in packs().iter().enumerate() {
        // One block alone, because some of the bundled blocks have the same number.
        let record: Value = serde_json::from_slice(
            &fs::read(folder.path().join(format!("journal/chunk-{index:08}.json"))).expect("a record"),
        )
        .expect("JSON");
        let rows_of = |table: &str| -> Vec<Row> {
            let file = record["files"].as_array().expect("files").iter().find_map(|file| {
                let name = file["name"].as_str()?;
                (name.split("__").nth(1) == Some(table)).then(|| name.to_owned())
            });
            let alone = tempfile::tempdir().expect("a folder");
            let name = file.expect("a file of the table");
            fs::copy(folder.path().join(&name), alone.path().join(&name)).expect("copied");
            rows(alone.path(), table)
        };
        let mut last = BTreeMap::<(String, String), (String, String)>::new();
        for (table, value) in [
            ("balance_diffs", "_value_string"),
            ("nonce_diffs", "_value"),
            ("code_diffs", "_value"),
            ("storage_diffs", "_value"),
        ] {
            for row in rows_of(table) {
                let what = match table {
                    "storage_diffs" => format!("storage {}", get(&row, "slot").expect("a slot")),
                    other => other.trim_end_matches("_diffs").to_owned(),
                };
                let key = (get(&row, "address").expect("an address").to_owned(), what);
                let (from, to) = (get(&row, &format!("from{value}")), get(&row, &format!("to{value}")));
                let (from, to) = (from.expect("the code before is known").to_owned(), to.expect("a value").to_owned());
                assert_ne!(from, to, "{}: {key:?} did not change", path.display());
                if let Some((_, before)) = last.insert(key.clone(), (from.clone(), to)) {
                    assert_eq!(before, from, "{}: {key:?} does not follow", path.display());
                }
            }
        }
        let pack = read_pack(path);
        let Some(post) = pack["poststate"].as_object() else { continue };
        for (address, account) in post {
            let mut expect = |what: String, value: Option<String>| {
                if let (Some(value), Some((_, got))) = (value, last.get(&(address.to_lowercase(), what.clone()))) {
                    assert_eq!(*got, value, "{}: {address} {what}", path.display());
                    compared += 1;
                }
            };
            expect("balance".into(), decimal(&account["balance"]));
            expect("nonce".into(), decimal(&account["nonce"]));
            expect("code".into(), lower(&account["code"]));
            for (slot, value) in account["storage"].as_object().into_iter().flatten() {
                let pad = |text: &str| format!("0x{:0>64}", text.trim_start_matches("0x").to_lowercase());
                expect(format!("storage {}", pad(slot)), value.as_str().map(pad));
            }
        }
    }
    assert!(compared > 5000, "{compared} values");
}

/// The three formats hold the same.
#[test]
fn formats_hold_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |format: &str| folder.path().join(format);
    for format in ["parquet", "jsonl", "csv"] {
        replay_bundled(&at(format), &["--tables", "all", "--format", format]);
    }
    let mut count = 0;
    for table in Table::ALL {
        let expected = rows(&at("parquet"), table.name());
        count += expected.len();
        let json = lines(&at("jsonl"), table.name());
        let csv = records(&at("csv"), table.name());
        assert_eq!((json.len(), csv.len()), (expected.len(), expected.len()), "{}", table.name());
        for (index, ((expected, json), csv)) in expected.iter().zip(&json).zip(&csv).enumerate() {
            for (column, value) in expected {
                let place = format!("{} {index}: {column}", table.name());
                assert_eq!(same(column, get(json, column)), same(column, value.as_deref()), "JSON Lines: {place}");
                // CSV cannot tell a missing value from an empty text.
                let value = value.as_deref().filter(|text| !text.is_empty());
                assert_eq!(
                    same(column, get(csv, column).filter(|text| !text.is_empty())),
                    same(column, value),
                    "CSV: {place}"
                );
            }
            assert_eq!((json.len(), csv.len()), (expected.len(), expected.len()), "the same columns");
        }
    }
    assert!(count > 50_000, "{count} rows");
}

/// A value that compares: doubles have many texts.
fn same(column: &str, value: Option<&str>) -> Option<String> {
    let value = value?;
    Some(match column.ends_with("_f64") {
        true => format!("{:?}", value.parse::<f64>().expect("a number").to_bits()),
        false => value.to_owned(),
    })
}

fn lines(folder: &Path, table: &str) -> Vec<Row> {
    // Numbers as they are written: serde_json reads doubles a little off.
    let value = |value: &RawValue| match value.get() {
        "null" => None,
        text if text.starts_with('"') => Some(serde_json::from_str::<String>(text).expect("text")),
        number => Some(number.to_owned()),
    };
    let mut all = Vec::new();
    for path in of_table(folder, table) {
        for line in fs::read_to_string(path).expect("text").lines() {
            let row: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("an object");
            all.push(row.iter().map(|(name, cell)| (name.clone(), value(cell))).collect());
        }
    }
    all
}

fn records(folder: &Path, table: &str) -> Vec<Row> {
    let mut all = Vec::new();
    for path in of_table(folder, table) {
        let mut reader = csv::Reader::from_path(path).expect("CSV");
        let names = reader.headers().expect("names").clone();
        for record in reader.records() {
            let record = record.expect("a record");
            all.push(names.iter().zip(&record).map(|(name, cell)| (name.to_owned(), Some(cell.to_owned()))).collect());
        }
    }
    all
}

/// The frames of a transaction form a tree whose addresses and counts fit, and their gas is that of the gas tables.
#[test]
fn traces_form_trees() {
    let folder = tempfile::tempdir().expect("a folder");
    replay_bundled(folder.path(), &["--tables", "traces,contracts,gas_by_opcode,gas_by_contract"]);
    let mut children = BTreeMap::<(String, String), u64>::new();
    let traces = rows(folder.path(), "traces");
    for row in &traces {
        let Some(hash) = get(row, "transaction_hash") else { continue };
        let hash = format!("{} {hash}", get(row, "block_hash").expect("a hash"));
        let address = get(row, "trace_address").expect("an address");
        if let Some((parent, index)) =
            address.rsplit_once('_').or_else(|| (!address.is_empty()).then_some(("", address)))
        {
            let count = children.get_mut(&(hash.clone(), parent.to_owned())).expect("the frame around comes first");
            assert_eq!(index.parse::<u64>().expect("an index"), *count);
            *count += 1;
        }
        assert!(children.insert((hash, address.to_owned()), 0).is_none(), "each frame once");
    }
    for row in &traces {
        let Some(hash) = get(row, "transaction_hash") else { continue };
        let hash = format!("{} {hash}", get(row, "block_hash").expect("a hash"));
        let key = (hash, get(row, "trace_address").expect("an address").to_owned());
        assert_eq!(children[&key], number(row, "subtraces"));
        let failed = get(row, "error").is_some();
        assert!(!failed || get(row, "result_gas_used").is_none(), "what failed has no result");
    }
    for row in &rows(folder.path(), "contracts") {
        let code = get(row, "code").expect("code");
        assert_eq!(number(row, "n_code_bytes"), (code.len() as u64 - 2) / 2);
        let hash = isolane::convert::keccak(hex::decode(&code[2..]).expect("hexadecimal"));
        assert_eq!(get(row, "code_hash"), Some(format!("{hash:?}").as_str()));
    }
    let sum = |table: &str| rows(folder.path(), table).iter().map(|row| number(row, "gas")).sum::<u64>();
    let (opcodes, contracts) = (sum("gas_by_opcode"), sum("gas_by_contract"));
    assert!(opcodes > 0 && opcodes <= contracts, "{opcodes} by opcode, {contracts} by contract");
}
