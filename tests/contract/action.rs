//! `action.yml` lists the inputs of the table and the outputs of the report, and every example
//! that users copy names only inputs that exist.

use std::path::{Path, PathBuf};

use serde_yaml::Value;
use slipway::inputs::table::{Command, INPUTS, Input, Ways, find};
use slipway::report::outputs::OUTPUTS;

use super::part;

/// On a runner the log is what people read: lines of JSON there would hide the story.
const NOT_IN_THE_ACTION: &[&str] = &["json"];

fn offered() -> impl Iterator<Item = &'static Input> {
    INPUTS.iter().filter(|input| !NOT_IN_THE_ACTION.contains(&input.name))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A default that the runner fills in would beat `slipway.yml` and the environment, which come
/// after inputs: so it is told in the description, and the binary fills it in last.
fn description(input: &Input) -> String {
    let mut said = input.about.to_owned();
    if input.needed_by.contains(&Command::Ship) {
        said.push_str(match input.ways {
            Ways::All => " Required, here or in slipway.yml.",
            _ => " Required.",
        });
    }
    if let (Some(default), false) = (input.default, input.ways == Ways::Action) {
        said.push_str(&format!(" Default: {default}"));
    }
    said
}

fn default(input: &Input) -> Option<&'static str> {
    match input.name {
        // The runner hands no token to a container by itself.
        "github-token" => Some("${{ github.token }}"),
        _ if input.ways == Ways::Action => input.default,
        _ => None,
    }
}

#[test]
fn the_action_has_the_inputs_of_the_table() {
    let mut wanted = String::new();
    for input in offered() {
        let text = quoted(&description(input));
        wanted.push_str(&format!("  {}:\n    description: {text}\n", input.name));
        if let Some(default) = default(input) {
            wanted.push_str(&format!("    default: {default}\n"));
        }
    }
    part::is_generated("action.yml", "inputs:", "outputs:", &wanted);
}

#[test]
fn the_action_has_the_outputs_of_the_report() {
    let wanted: String = OUTPUTS
        .iter()
        .map(|output| format!("  {}:\n    description: {}\n", output.name, quoted(output.about)))
        .collect();
    part::is_generated("action.yml", "outputs:", "runs:", &wanted);
}

#[test]
fn the_action_runs_the_image_that_dockerfile_makes() {
    let text = std::fs::read_to_string(part::file("action.yml")).unwrap();
    let action: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(action["runs"]["using"], "docker");
    assert_eq!(action["runs"]["image"], "Dockerfile");
    // With `args` or `env` act evaluates neither, and the binary needs none.
    assert_eq!(action["runs"].as_mapping().unwrap().len(), 2);
}

/// Every step in this document that uses slipway, by the inputs that it gives.
fn steps(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Mapping(map) => {
            let uses = map.get("uses").and_then(Value::as_str).unwrap_or_default();
            if uses == "./" || uses.starts_with("slipway/slipway@") {
                let with = map.get("with").and_then(Value::as_mapping);
                let names = with.into_iter().flatten().filter_map(|(key, _)| key.as_str());
                found.push(names.map(str::to_owned).collect());
            }
            map.iter().for_each(|(_, inner)| steps(inner, found));
        }
        Value::Sequence(items) => items.iter().for_each(|inner| steps(inner, found)),
        _ => {}
    }
}

/// The YAML of a file that uses the action: all of a workflow, the fenced blocks of a page.
fn documents(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut using = if path.extension().is_some_and(|e| e == "md") {
        let blocks = text.split("```yaml\n").skip(1);
        blocks.filter_map(|b| b.split_once("```")).map(|(b, _)| b.to_owned()).collect()
    } else {
        vec![text]
    };
    using.retain(|text| text.contains("uses: ./") || text.contains("slipway/slipway@"));
    using
}

fn pages() -> Vec<PathBuf> {
    let folders = [".", "docs", "docs/codes", ".github/workflows", ".github/examples"];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(part::file(folder)).ok());
    let paths = entries.flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "md" || e == "yml")).collect()
}

#[test]
fn examples_name_only_inputs_of_the_action() {
    let mut unknown = Vec::new();
    let mut seen = 0;
    for path in pages() {
        for document in documents(&path) {
            let value: Value = serde_yaml::from_str(&document)
                .unwrap_or_else(|error| panic!("{}: {error}\n{document}", path.display()));
            let mut found = Vec::new();
            steps(&value, &mut found);
            seen += found.len();
            let names = found.into_iter().flatten();
            let strange = names.filter(|name| offered().all(|input| input.name != name));
            unknown.extend(strange.map(|name| format!("{}: {name}", path.display())));
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
    assert!(seen > 0, "no example uses the action");
}

#[test]
fn what_the_action_leaves_out_is_an_input() {
    assert!(NOT_IN_THE_ACTION.iter().all(|name| find(name).is_some()));
}
