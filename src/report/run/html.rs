//! The report as one page that needs nothing else.

use super::chart::{self, colour, short};
use super::{EnvironmentSummary, RunReport};
use crate::report::mgas_per_second;
use isolane_spec::{Order, U256};
use std::fmt::Write as _;

pub(in crate::report) const STYLE: &str = "\
:root { color-scheme: light; --ink: #1f2933; --faint: #6b7785; --rule: #e3e8ee; --paper: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 17px; margin: 0 0 4px; }
p { margin: 0 0 12px; color: var(--faint); }
code { font: 12.5px ui-monospace, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; color: var(--ink); }
section { background: #fff; border: 1px solid var(--rule); border-radius: 10px; padding: 18px 22px; margin-top: 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px; }
.card { background: #fff; border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.card span { color: var(--faint); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 7px 8px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; font-size: 12.5px; vertical-align: bottom; }
th:first-child, td:first-child, .left { text-align: left; }
tr:last-child td { border-bottom: 0; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; }
.tag { display: inline-block; padding: 0 8px; border-radius: 9px; font-size: 12px; background: #eef2f6; color: #3d4956; }
.tag.done { background: #e0f2ec; color: #1b6b56; }
.tag.bad { background: #fbe4e4; color: #9b2226; }
.tag.warn { background: #fdf0d9; color: #8a5a0b; }
.key span { margin-right: 18px; color: var(--faint); font-size: 13px; }
svg { display: block; width: 100%; height: auto; }
ul { margin: 6px 0 0; padding-left: 20px; }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
";

/// Text that cannot end a tag or an attribute.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A number with thin spaces between thousands.
pub(in crate::report) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// Wei in the unit that reads best.
fn wei(value: &U256) -> String {
    let digits = value.to_string();
    let scaled = |decimals: usize, unit: &str| {
        let digits = format!("{digits:0>19}");
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.get(..4).unwrap_or(fraction).trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        if fraction.is_empty() { format!("{whole} {unit}") } else { format!("{whole}.{fraction} {unit}") }
    };
    match digits.len() {
        0..10 => format!("{digits} wei"),
        10..16 => scaled(9, "gwei"),
        _ => scaled(18, "ether"),
    }
}

pub(in crate::report) fn card(page: &mut String, figure: &str, text: &str) {
    let _ = writeln!(page, "<div class=card><b>{}</b><span>{}</span></div>", escape(figure), escape(text));
}

/// A chart in its section, if there is one.
pub(in crate::report) fn figure(
    page: &mut String,
    title: &str,
    text: &str,
    key: &str,
    chart: Option<Result<String, String>>,
) {
    let Some(chart) = chart else { return };
    let body = chart.unwrap_or_else(|error| format!("<p>The chart could not be drawn: {}</p>", escape(&error)));
    let _ = writeln!(page, "<section><h2>{title}</h2><p>{text}</p>{key}{body}</section>");
}

fn head(page: &mut String, report: &RunReport) {
    let name = escape(&report.name);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>isolane: {name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
    );
    let restricted = report.environments.iter().filter(|e| e.restricted).count();
    let stamp = match restricted {
        0 => String::new(),
        count => format!(
            " <span class=\"tag warn\" title=\"own permissions, budgets, opcodes or messages: no faithful replay\">\
             {count} restricted</span>"
        ),
    };
    let resumed =
        if report.resumed > 0 { format!(", {} of them from the journal", report.resumed) } else { String::new() };
    let _ = writeln!(
        page,
        "<p>{} epochs{resumed}, backend {}, {} threads{stamp}<br>digest <code>{:?}</code></p>",
        report.epochs,
        escape(report.backend),
        report.threads,
        report.digest
    );
    let total = |of: fn(&EnvironmentSummary) -> u64| report.environments.iter().map(of).sum::<u64>();
    page.push_str("<div class=cards>\n");
    card(page, &grouped(report.environments.len() as u64), "environments");
    card(page, &grouped(total(|e| e.stats.executed())), "transactions");
    let rate = mgas_per_second(report.gas, report.wall);
    card(page, &format!("{rate:.0}"), "Mgas/s, wall");
    card(page, &grouped(total(|e| e.stats.delivered)), "messages delivered");
    let broken = total(|e| e.stats.denied.values().sum::<u64>() + e.stats.exceeded.values().sum::<u64>());
    card(page, &grouped(broken), "denials and cut-offs");
    card(page, &grouped(total(|e| e.stats.late_epochs)), "epochs beyond the starvation bound");
    page.push_str("</div>\n");
}

fn tag(environment: &EnvironmentSummary) -> String {
    let kind = match environment.status() {
        "done" => "done",
        "halted" => "bad",
        _ => "warn",
    };
    format!("<span class=\"tag {kind}\">{}</span>", environment.status())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn environments(page: &mut String, report: &RunReport) {
    page.push_str(
        "<section><h2>Environments</h2><p>What became of each, of its transactions and of its messages.</p>\
         <div class=scroll><table>\n<tr><th>environment<th class=left>fork<th class=left>status<th>trans-<br>actions<th>success\
         <th>revert<th>halt<th>rejected<th>Mgas<th>denied<th>cut off<th>mess.<br>in<th>mess.<br>out\
         <th>rounds<br>≤ bound</tr>\n",
    );
    for (index, environment) in report.environments.iter().enumerate() {
        let stats = &environment.stats;
        let dot = colour(index);
        let rounds = match stats.busy_rounds {
            0 => "–".to_owned(),
            rounds => format!("{rounds} ≤ {}", stats.busy_bound),
        };
        let order = if environment.order == Order::Independent { " <span class=tag>independent</span>" } else { "" };
        let _ = writeln!(
            page,
            "<tr><td><span class=dot style=\"background:#{:02x}{:02x}{:02x}\"></span>{}{order}\
             <td class=left>{} <span style=\"color:var(--faint)\">chain {}</span><td class=left>{}<td>{}<td>{}<td>{}<td>{}<td>{}\
             <td>{:.2}<td>{}<td>{}<td>{}<td>{}<td>{rounds}</tr>",
            dot.0,
            dot.1,
            dot.2,
            escape(&short(&environment.name)),
            environment.fork,
            environment.chain_id,
            tag(environment),
            grouped(stats.executed()),
            grouped(stats.succeeded),
            grouped(stats.reverted),
            grouped(stats.halted),
            grouped(stats.rejected),
            stats.usage.gas as f64 / 1e6,
            grouped(stats.denied.values().sum()),
            grouped(stats.exceeded.values().sum()),
            grouped(stats.delivered + stats.undelivered),
            grouped(stats.sent),
        );
    }
    page.push_str("</table></div>\n");
    let mut notes = String::new();
    for environment in &report.environments {
        let (name, stats) = (escape(&environment.name), &environment.stats);
        if let Some(error) = &environment.halted {
            let _ = writeln!(notes, "<li><b>{name}</b> halted: {}</li>", escape(error));
        }
        if stats.rolled_back_epochs > 0 {
            let (epochs, transactions) = (stats.rolled_back_epochs, stats.rolled_back);
            let _ = writeln!(
                notes,
                "<li><b>{name}</b>: {epochs} epochs rolled back, with {transactions} transactions</li>"
            );
        }
        for (what, counts) in [("denied", &stats.denied), ("budget exceeded", &stats.exceeded)] {
            if !counts.is_empty() {
                let list: Vec<_> = counts.iter().map(|(name, count)| format!("{} {count}", escape(name))).collect();
                let _ = writeln!(notes, "<li><b>{name}</b>: {what}: {}</li>", list.join(", "));
            }
        }
        if stats.deferred > 0 {
            let deferred = stats.deferred;
            let _ = writeln!(
                notes,
                "<li><b>{name}</b>: {deferred} times a transaction waited for the next epoch's budget</li>"
            );
        }
        if environment.pending > 0 {
            let _ = writeln!(notes, "<li><b>{name}</b>: {} transactions did not start</li>", environment.pending);
        }
    }
    if !notes.is_empty() {
        let _ = writeln!(page, "<ul>\n{notes}</ul>");
    }
    page.push_str("</section>\n");
}

fn messages(page: &mut String, report: &RunReport) {
    if report.flows.0.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Messages by route</h2><p>What was sent is delivered in a later epoch, once; what fails comes back as a \
         refund.</p><div class=scroll><table>\n<tr><th>route<th class=left>failed<th>sent<th>delivered<th>slots<th>refunds\
         <th>claimable</tr>\n",
    );
    for (source, row) in &report.flows.0 {
        for (destination, flow) in row {
            let failed: Vec<_> = flow.failed.iter().map(|(name, count)| format!("{} {count}", escape(name))).collect();
            let failed = if failed.is_empty() { "–".to_owned() } else { failed.join(", ") };
            let _ = writeln!(
                page,
                "<tr><td>{} → {}<td class=left>{failed}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
                escape(source),
                escape(destination),
                grouped(flow.sent),
                grouped(flow.delivered),
                grouped(flow.state),
                grouped(flow.refunds),
                grouped(flow.claimable),
            );
        }
    }
    page.push_str("</table></div></section>\n");
}

fn assets(page: &mut String, report: &RunReport) {
    let away: Vec<_> = report.assets.iter().filter(|asset| !asset.locked.is_zero()).collect();
    if away.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Assets away from home</h2><p>At every barrier: what is locked at home = balances abroad + in flight + \
         claimable. The run would have stopped otherwise.</p><div class=scroll><table>\n<tr><th>asset of<th>locked at home\
         <th>abroad<th>in flight<th>claimable</tr>\n",
    );
    for asset in away {
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&asset.asset.to_string()),
            wei(&asset.locked),
            wei(&asset.abroad),
            wei(&asset.in_flight),
            wei(&asset.claimable),
        );
    }
    page.push_str("</table></div></section>\n");
}

/// The report as one page: styles and charts are in it.
#[must_use]
pub fn page(report: &RunReport) -> String {
    let mut page = String::new();
    head(&mut page, report);
    environments(&mut page, report);
    figure(
        &mut page,
        "Shares under contention",
        "What each environment got in the rounds in which several were kept waiting, and what its weight entitled it to.",
        "<div class=key><span><i class=dot style=\"background:#2b6cb0\"></i>got</span>\
         <span><i class=dot style=\"background:#c3ccd6\"></i>due</span></div>",
        chart::shares(report),
    );
    figure(
        &mut page,
        "Waiting",
        "Scheduling rounds from the moment a transaction could start to the round in which it started: mean · 95% · longest.",
        "<div class=key><span><i class=dot style=\"background:#2b6cb0\"></i>mean</span>\
         <span><i class=dot style=\"background:#1f2933\"></i>95% stayed below the line</span>\
         <span><i class=dot style=\"background:#c3ccd6\"></i>longest</span></div>",
        chart::waiting(report),
    );
    figure(
        &mut page,
        "Message flow",
        "Messages that arrived or failed, from the environment of the row to that of the column; refunds and slots count.",
        "",
        chart::flows(report),
    );
    figure(
        &mut page,
        "Gas by epoch",
        "Own transactions, one environment on top of another, in the colours of the table.",
        "",
        chart::epochs(report),
    );
    figure(&mut page, "Budgets", "The most that any epoch used of what an epoch may use.", "", chart::budgets(report));
    messages(&mut page, report);
    assets(&mut page, report);
    if report.environments.len() > chart::SHOWN {
        let _ = writeln!(page, "<p>Charts show the first {} environments.</p>", chart::SHOWN);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(grouped(12), "12");
        let show = |text: &str| wei(&U256::from_dec_str(text).expect("a number"));
        assert_eq!(show("0"), "0 wei");
        assert_eq!(show("1500000000"), "1.5 gwei");
        assert_eq!(show("50000000000000000"), "0.05 ether");
        assert_eq!(show("1000000000000000000"), "1 ether");
        assert_eq!(show("12345600000000000000"), "12.3456 ether");
    }

    #[test]
    fn text_from_outside_cannot_leave_its_place() {
        assert_eq!(escape("<b a=\"'&\">"), "&lt;b a=&quot;&#39;&amp;&quot;&gt;");
    }
}
