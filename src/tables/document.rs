//! The tables as text for `docs/tables.md`.

use super::column::Kind;
use super::{Table, U256Type};
use std::fmt::Write as _;

/// The name of a type in the document.
const fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::U32 => "u32",
        Kind::U64 => "u64",
        Kind::Binary => "binary",
        Kind::Text => "string",
        Kind::U256 => "u256",
    }
}

/// The description of all tables, in Markdown.
#[must_use]
pub fn document() -> String {
    let mut text = String::new();
    for table in Table::ALL {
        let name = table.name();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n### `{name}`\n\n{}\n\n| column | type | |\n| --- | --- | --- |\n", table.doc().trim());
        for column in table.columns() {
            let null = if column.nullable { ", null" } else { "" };
            let shown = match column.kind {
                Kind::U256 => U256Type::ALL.map(|word| format!("`{}{}`", column.name, word.suffix())).join(" "),
                _ => format!("`{}`", column.name),
            };
            let _ = writeln!(text, "| {shown} | {}{null} | {} |", type_name(column.kind), column.doc.trim());
        }
    }
    text
}
