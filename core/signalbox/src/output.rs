//! JSON as a person likes to read it: lists as tables, objects as lines.

use std::io::{self, Write};

use serde_json::{Map, Value as Json};

/// Prints to standard output. Who reads only the beginning, as `head` does, has read enough.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints a result: as JSON, or in lines.
pub(crate) fn show(value: &Json, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(value)? + "\n" } else { human(value) };
    Ok(say(&text)?)
}

/// A result in lines, each with its line end.
fn human(value: &Json) -> String {
    match value {
        Json::Array(items) if items.is_empty() => "(nothing)\n".to_owned(),
        Json::Array(items) => match items.iter().map(Json::as_object).collect::<Option<Vec<_>>>() {
            Some(rows) => records(&rows),
            None => items.iter().map(|item| format!("{}\n", cell(item))).collect(),
        },
        Json::Object(object) => lines(object),
        other => format!("{}\n", cell(other)),
    }
}

/// Columns padded to their widest cell. The last column is not padded.
pub(crate) fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{body}", line(header))
}

/// Few columns make a table; many, or records that differ, are shown one below the other.
fn records(rows: &[&Map<String, Json>]) -> String {
    let names: Vec<String> = rows[0].keys().cloned().collect();
    let alike = rows.iter().all(|row| row.len() == names.len() && row.keys().all(|name| names.contains(name)));
    if alike && names.len() <= MOST_COLUMNS {
        let header: Vec<String> = names.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
        let cells = |row: &&Map<String, Json>| row.values().map(cell).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
        table(&header, &rows)
    } else {
        rows.iter().map(|row| lines(row)).collect::<Vec<_>>().join("\n")
    }
}

const MOST_COLUMNS: usize = 6;

fn lines(object: &Map<String, Json>) -> String {
    let width = object.keys().map(String::len).max().unwrap_or_default();
    object.iter().map(|(name, value)| format!("{:width$}  {}\n", name.replace('_', " "), cell(value))).collect()
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) if items.is_empty() => "-".to_owned(),
        Json::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Json::Object(object) => object.values().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_of_like_records_is_a_table() {
        let list =
            json!([{ "aor": "sip:a@b", "contacts": ["sip:x", "sip:y"] }, { "aor": "sip:long@b", "contacts": [] }]);
        assert_eq!(human(&list), "AOR         CONTACTS\nsip:a@b     sip:x, sip:y\nsip:long@b  -\n");
    }

    #[test]
    fn records_that_differ_are_shown_one_below_the_other() {
        let list = json!([{ "a": 1, "bb": null }, { "a": 2 }]);
        assert_eq!(human(&list), "a   1\nbb  -\n\na  2\n");
    }

    #[test]
    fn scalars_and_empty_lists_are_words() {
        assert_eq!(human(&json!("done")), "done\n");
        assert_eq!(human(&json!([])), "(nothing)\n");
        assert_eq!(human(&json!(["a", "b"])), "a\nb\n");
    }
}
