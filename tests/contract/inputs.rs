//! `docs/inputs.md` lists every input and output with its ways in, from the tables.

use slipway::inputs::table::{Group, INPUTS, Input, Ways};
use slipway::report::outputs::OUTPUTS;

use super::part;

fn heading(group: Group) -> &'static str {
    match group {
        Group::Who => "Who",
        Group::Image => "What image",
        Group::Build => "How it is built",
        Group::Where => "Where",
        Group::Watch => "How long, and what then",
        Group::Run => "The run",
    }
}

/// A cell's text must not end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn ways(input: &Input) -> String {
    let mut ways = Vec::new();
    if input.has_flag() {
        ways.push("flag".to_owned());
    }
    if input.ways != Ways::Action {
        ways.push(format!("`{}`", input.own_variable()));
    }
    ways.extend(input.environment.iter().map(|name| format!("`{name}`")));
    if input.ways == Ways::All {
        ways.push("file".into());
    }
    ways.join(", ")
}

fn row(input: &Input) -> String {
    let default = input.default.map_or(String::new(), |value| format!("`{value}`"));
    let needed: Vec<_> = input.needed_by.iter().map(|command| command.word()).collect();
    let needed = if needed.is_empty() {
        String::new()
    } else {
        format!(" Needed by {}.", needed.join(", "))
    };
    let about = cell(&format!("{}{needed}", input.about));
    format!("| `{}` | {about} | {default} | {} |\n", input.name, ways(input))
}

#[test]
fn the_reference_lists_every_input() {
    let mut wanted = String::new();
    for group in Group::ALL {
        wanted.push_str(&format!("\n### {}\n\n", heading(*group)));
        wanted.push_str("| input | what it is | default | also from |\n|---|---|---|---|\n");
        INPUTS.iter().filter(|i| i.group == *group).for_each(|i| wanted.push_str(&row(i)));
    }
    wanted.push('\n');
    part::is_generated("docs/inputs.md", "<!-- inputs -->", "<!-- end of inputs -->", &wanted);
}

#[test]
fn the_reference_lists_every_output() {
    let rows = OUTPUTS.iter().map(|o| format!("| `{}` | {} |\n", o.name, cell(o.about)));
    let wanted = format!("\n| output | what it is |\n|---|---|\n{}\n", rows.collect::<String>());
    part::is_generated("docs/inputs.md", "<!-- outputs -->", "<!-- end of outputs -->", &wanted);
}
