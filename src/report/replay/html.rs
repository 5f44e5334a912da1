//! The page.

use super::chart;
use super::{ReplayReport, Sum};
use crate::report::chain_name;
use crate::report::run::chart::colour;
use crate::report::run::html::{STYLE, card, escape, figure, grouped};
use isolane_spec::Fork;
use std::fmt::Write as _;

/// Blocks with problems that the page names.
const PROBLEMS: usize = 200;

fn head(page: &mut String, report: &ReplayReport) {
    let name = escape(&report.name);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>isolane replay: {name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Replay: {name}</h1>\n"
    );
    let total = &report.total;
    let verdict = match (total.mismatches, total.errors) {
        (0, 0) => "<span class=\"tag done\">all blocks match</span>".to_owned(),
        (mismatches, errors) => {
            format!("<span class=\"tag bad\">{mismatches} mismatches, {errors} blocks could not be executed</span>")
        }
    };
    let runs = match report.runs.len() {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let sources: Vec<String> = report
        .sources
        .iter()
        .map(|((origin, state), count)| {
            format!("{} blocks from {}: {}", grouped(*count), escape(origin), escape(state))
        })
        .collect();
    let _ = writeln!(
        page,
        "<p>{verdict} in {runs}, {:.1} s; tables as {}<br>{}</p>",
        report.wall,
        escape(&report.format),
        sources.join("; ")
    );
    page.push_str("<div class=cards>\n");
    card(page, &grouped(total.blocks), "blocks");
    card(page, &grouped(total.transactions), "transactions");
    card(page, &grouped(total.gas / 1_000_000), "Mgas");
    card(page, &format!("{:.0}", report.rate()), "Mgas/s, from start to end");
    card(page, &grouped(total.state_roots), "state roots verified");
    card(page, &format!("{:.1}", report.parallel()), "blocks at work on average");
    page.push_str("</div>\n");
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn verdicts(page: &mut String, report: &ReplayReport) {
    page.push_str(
        "<section><h2>Verdicts</h2><p>Each block is compared with its header, and with receipts, state roots and states \
         where the source has them. Only blocks that match have rows in the tables.</p>\
         <div class=scroll><table>\n<tr><th>chain<th class=left>fork<th>blocks<th>transactions<th>Mgas<th>Mgas/s<br>a thread\
         <th>match<th>mismatch<th>error<th>state root</tr>\n",
    );
    for ((chain, fork), sum) in &report.groups {
        let chain = chain.map_or_else(|| "unknown".to_owned(), chain_name);
        let Sum { blocks, transactions, gas, matches, mismatches, errors, state_roots, seconds } = sum;
        let mgas = *gas as f64 / 1e6;
        let rate = if seconds[2] > 0.0 { mgas / seconds[2] } else { 0.0 };
        let bad = |count: u64| match count {
            0 => "0".to_owned(),
            count => format!("<span class=\"tag bad\">{}</span>", grouped(count)),
        };
        let _ = writeln!(
            page,
            "<tr><td>{}<td class=left>{}<td>{}<td>{}<td>{mgas:.1}<td>{rate:.0}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&chain),
            fork.map_or("unknown", Fork::name),
            grouped(*blocks),
            grouped(*transactions),
            grouped(*matches),
            bad(*mismatches),
            bad(*errors),
            grouped(*state_roots),
        );
    }
    page.push_str("</table></div></section>\n");
}

fn problems(page: &mut String, report: &ReplayReport) {
    if report.problems.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Mismatches and errors</h2><p>The first difference of each block, in the order of execution.</p>\
         <div class=scroll><table>\n<tr><th>block<th class=left>source<th class=left>where<th class=left>expected\
         <th class=left>got</tr>\n",
    );
    for block in report.problems.iter().take(PROBLEMS) {
        let number = block.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let _ = write!(page, "<tr><td>{number}<td class=left>{}", escape(&block.file));
        match block.differences.first() {
            Some(difference) => {
                let place = match difference.transaction_index {
                    Some(index) => format!("transaction {index}: {}", difference.field),
                    None => difference.field.clone(),
                };
                let more = match block.differences.len() {
                    0 | 1 => String::new(),
                    count => format!(" and {} more", count - 1),
                };
                let (expected, got) = (escape(&difference.expected), escape(&difference.got));
                let place = escape(&place);
                let _ = writeln!(
                    page,
                    "<td class=left>{place}{more}<td class=left><code>{expected}</code><td class=left><code>{got}</code></tr>"
                );
            }
            None => {
                let problem = block.problem.as_deref().unwrap_or_default();
                let _ = writeln!(page, "<td class=left colspan=3>{}</tr>", escape(problem));
            }
        }
    }
    page.push_str("</table></div>\n");
    if report.problems.len() > PROBLEMS {
        let _ = writeln!(page, "<p>and {} more</p>", report.problems.len() - PROBLEMS);
    }
    page.push_str("</section>\n");
}

fn runs(page: &mut String, report: &ReplayReport) {
    page.push_str(
        "<section><h2>Where transactions ran</h2><p>The runs that worked on this folder. Transactions that a device cannot \
         execute run on the CPU, with the reason.</p><div class=scroll><table>\n<tr><th>run<th class=left>backend<th>threads\
         <th>seconds<th>on lanes<th>host<th>CPU<th class=left>why on the CPU</tr>\n",
    );
    for run in &report.runs {
        let wall = run.wall.map_or_else(|| "stopped".to_owned(), |wall| format!("{wall:.1}"));
        let (device, backend) = match &run.lanes {
            Some(lanes) => {
                let reasons: Vec<String> =
                    lanes.reasons.iter().map(|(reason, count)| format!("{} {count}", escape(reason))).collect();
                let counts = [lanes.device, lanes.host, lanes.fallback].map(grouped);
                (format!("<td>{}<td class=left>{}", counts.join("<td>"), reasons.join(", ")), lanes.adapter.as_str())
            }
            None => ("<td>–<td>–<td>all<td class=left>".to_owned(), run.backend.as_str()),
        };
        let _ = writeln!(
            page,
            "<tr><td>{}<td class=left>{}<td>{}<td>{wall}{device}</tr>",
            run.run,
            escape(backend),
            run.threads
        );
    }
    page.push_str("</table></div>\n");
    if let Some(chart) = chart::lanes(report) {
        page.push_str(
            &chart.unwrap_or_else(|error| format!("<p>The chart could not be drawn: {}</p>", escape(&error))),
        );
    }
    page.push_str("</section>\n");
}

fn files(page: &mut String, report: &ReplayReport) {
    if report.tables.is_empty() {
        return;
    }
    page.push_str("<section><h2>Tables</h2><div class=scroll><table>\n<tr><th>table<th>files<th>rows<th>bytes</tr>\n");
    for (table, size) in &report.tables {
        let (files, rows, bytes) = (grouped(size.files), grouped(size.rows), grouped(size.bytes));
        let _ = writeln!(page, "<tr><td>{}<td>{files}<td>{rows}<td>{bytes}</tr>", escape(table));
    }
    page.push_str("</table></div></section>\n");
}

/// The report as one page: styles and charts are in it.
#[must_use]
pub fn page(report: &ReplayReport) -> String {
    let mut page = String::new();
    head(&mut page, report);
    verdicts(&mut page, report);
    problems(&mut page, report);
    figure(
        &mut page,
        "Throughput over time",
        "Gas of the blocks that were at work, spread over the time that each took. Runs follow one another.",
        "",
        chart::throughput(report),
    );
    figure(
        &mut page,
        "Blocks at work",
        "How many blocks were loaded, executed and verified at the same time.",
        "",
        chart::parallelism(report),
    );
    let mut key = String::from("<div class=key>");
    for (index, stage) in chart::STAGES.iter().enumerate() {
        let dot = colour(index);
        let _ = write!(
            key,
            "<span><i class=dot style=\"background:#{:02x}{:02x}{:02x}\"></i>{stage}</span>",
            dot.0, dot.1, dot.2
        );
    }
    key.push_str("</div>");
    figure(&mut page, "Stages", "Where the time of the threads went.", &key, chart::stages(&report.total));
    let missing = report.opcodes.is_empty() && report.contracts.is_empty();
    if missing {
        page.push_str(
            "<section><h2>Gas by opcode and contract</h2><p>Not recorded: replay with --tables gas_by_opcode,gas_by_contract \
             among the tables.</p></section>\n",
        );
    }
    figure(
        &mut page,
        "Gas by opcode",
        "What each instruction took itself, without the frames that it started and before refunds.",
        "",
        chart::largest(&report.opcodes, Default::default()),
    );
    let rest = match report.contracts.len() {
        0..=chart::ROWS => String::new(),
        count => format!(" The {} largest of {} that the journal names.", chart::ROWS, grouped(count as u64)),
    };
    figure(
        &mut page,
        "Gas by contract",
        &format!("What the frames of each contract took themselves, precompiles included.{rest}"),
        "",
        chart::largest(&report.contracts, report.other_contracts),
    );
    runs(&mut page, report);
    files(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}
