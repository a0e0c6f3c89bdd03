//! The tables of a module as text: `signalbox doc` prints it, READMEs contain it.

use std::fmt::Write;

use super::Signature;
use super::export::Tables;

/// For a terminal, at most 96 columns wide.
pub fn plain(module: &Tables) -> String {
    let mut text = format!("{}: {}\n", module.name, module.summary);
    if !module.parameters.is_empty() {
        text.push_str("\nPARAMETERS, set by modparam\n");
    }
    for parameter in &module.parameters {
        let shape = &parameter.shape;
        let _ = writeln!(text, "  {} = {}  ({})", parameter.name, shape.default_text(), shape.describe());
        paragraph(&mut text, parameter.doc);
    }
    if !module.functions.is_empty() {
        text.push_str("\nFUNCTIONS of the routing script\n");
    }
    for function in &module.functions {
        let _ = writeln!(text, "  {}", call(function));
        paragraph(&mut text, function.doc);
        for argument in &function.arguments {
            paragraph(&mut text, &format!("{} ({}): {}", argument.name, argument.kind.name(), argument.doc));
        }
        if !function.result.is_empty() {
            paragraph(&mut text, &format!("returns {}", function.result));
        }
        paragraph(&mut text, &format!("in routes: {}", routes(function)));
    }
    if !module.commands.is_empty() {
        text.push_str("\nCOMMANDS of signalbox ctl\n");
    }
    for command in &module.commands {
        let _ = writeln!(text, "  {} {}", module.name, command.words());
        paragraph(&mut text, command.doc);
        for parameter in &command.parameters {
            paragraph(&mut text, &format!("{}: {}", parameter.name, parameter.doc));
        }
    }
    if !module.events.is_empty() {
        text.push_str("\nEVENTS, each with a route of the script: function event_route.module.event(event)\n");
    }
    for event in &module.events {
        let _ = writeln!(text, "  {}.{}", module.name, event.name);
        paragraph(&mut text, event.doc);
        for (name, kind, doc) in &event.fields {
            paragraph(&mut text, &format!("event.{name} ({kind}): {doc}"));
        }
    }
    text
}

/// The Markdown tables that a module's README contains.
pub fn markdown(module: &Tables) -> String {
    let mut text = String::new();
    if !module.parameters.is_empty() {
        text.push_str("| parameter | default | what |\n|---|---|---|\n");
    }
    for parameter in &module.parameters {
        let (default, doc) = (parameter.shape.default_text(), cell(parameter.doc));
        let _ = writeln!(text, "| `{}` | `{default}` | {doc} |", parameter.name);
    }
    if !module.functions.is_empty() {
        text.push_str("\n| function | in routes | what |\n|---|---|---|\n");
    }
    for function in &module.functions {
        let result = if function.result.is_empty() { String::new() } else { format!(" Returns {}.", function.result) };
        let doc = cell(&format!("{}{result}", function.doc));
        let _ = writeln!(text, "| `{}` | {} | {doc} |", call(function), routes(function));
    }
    if !module.commands.is_empty() {
        text.push_str("\n| command | what |\n|---|---|\n");
    }
    for command in &module.commands {
        let _ = writeln!(text, "| `{} {}` | {} |", module.name, command.words(), cell(command.doc));
    }
    if !module.events.is_empty() {
        text.push_str("\n| event | what | fields |\n|---|---|---|\n");
    }
    for event in &module.events {
        let fields = event.fields.iter().map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| `{}.{}` | {} | {fields} |", module.name, event.name, cell(event.doc));
    }
    text
}

/// `save(table)`; optional arguments in brackets.
fn call(function: &Signature) -> String {
    let arguments = function.arguments.iter().map(|argument| match argument.required {
        true => argument.name.to_owned(),
        false => format!("[{}]", argument.name),
    });
    format!("{}({})", function.name, arguments.collect::<Vec<_>>().join(", "))
}

fn routes(function: &Signature) -> String {
    function.routes.names().collect::<Vec<_>>().join(", ")
}

/// Indented, and broken before 96 columns.
fn paragraph(text: &mut String, words: &str) {
    const INDENT: &str = "      ";
    const WIDTH: usize = 96;
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column == 0 || column + 1 + length > WIDTH {
            text.push_str(if column == 0 { "" } else { "\n" });
            text.push_str(INDENT);
            column = INDENT.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    if column > 0 {
        text.push('\n');
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_indented_and_broken() {
        let mut text = String::new();
        paragraph(&mut text, &"word ".repeat(30));
        assert!(text.lines().all(|line| line.starts_with("      word") && line.len() <= 96), "{text}");
        assert_eq!(text.split_whitespace().count(), 30);
    }

    #[test]
    fn a_bar_in_a_text_does_not_end_its_cell() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
