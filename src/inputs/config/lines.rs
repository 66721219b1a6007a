//! The entries of a list or a mapping in `slipway.yml`, each as the line that it would be typed as.
//!
//! A line break in an entry would make two lines of it, and the second an argument that nobody wrote: it is
//! refused. YAML reads `1.10` as 1.1, so that nothing but text is taken.

use serde_yaml::Value;

use super::super::build::may_be_a_value;
use super::scalar;
use crate::error::one_line;

/// The line of each entry, or what is wrong with it; none for what is neither a list nor a mapping.
pub(super) fn of(input: &str, value: &Value) -> Option<Vec<Result<String, String>>> {
    let told = |line: Result<String, String>| line.map_err(|said| format!("`{input}`: {said}"));
    match value {
        Value::Sequence(all) => {
            let all = all.iter().enumerate();
            Some(all.map(|(at, value)| told(listed(input, at + 1, value))).collect())
        }
        Value::Mapping(all) => {
            Some(all.iter().map(|(name, value)| told(mapped(input, name, value))).collect())
        }
        _ => None,
    }
}

fn mapped(input: &str, name: &Value, value: &Value) -> Result<String, String> {
    let name = scalar(name).unwrap_or_default();
    // It may be a whole value: it is not shown.
    if name.contains(['=', '\n', '\r']) {
        return Err("a name has no `=` and no line break".into());
    }
    if may_be_a_value(&name) {
        return Err("what stands before the `:` is no name: write `NAME: VALUE`".into());
    }
    let shown = one_line(&name, 40);
    match value {
        Value::String(text) if has_break(text) => Err(format!(
            "the value of `{shown}` has a line break, where one line is one entry: {}",
            match input {
                "build-args" => format!(
                    "write a list that names it alone, `- {shown}`, and set {shown} in the environment"
                ),
                "build-secrets" => "write the name of the variable that holds it".into(),
                _ => "write it in one line".into(),
            }
        )),
        Value::String(text) if text.trim() != text.trim_end_matches(['\n', '\r']) => Err(format!(
            "the value of `{shown}` begins or ends with a space, which no line keeps: {}",
            match input {
                "build-args" => format!("write a list, `- {shown}`, and set it in the environment"),
                _ => "leave it out".into(),
            }
        )),
        Value::String(text) => Ok(format!("{name}={text}")),
        Value::Bool(_) | Value::Number(_) => Err(format!("write the value of `{shown}` in quotes")),
        // Compose takes the environment's value then.
        Value::Null if input == "build-args" => Err(format!(
            "`{shown}` has no value: write `\"\"` for an empty one, or a list that names it alone, `- {shown}`, for the environment's"
        )),
        Value::Null if input == "labels" => {
            Err(format!("`{shown}` has no value: write `\"\"` for an empty one"))
        }
        Value::Null => Err(format!("`{shown}` has no value: write one, or leave it out")),
        other => Err(format!(
            "the value of `{shown}` is {}, which is no value: write one text",
            kind(other)
        )),
    }
}

fn listed(input: &str, at: usize, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if has_break(text) => Err(format!(
            "entry {at} has a line break, where one line is one entry: {}",
            match input {
                "build-args" =>
                    "write each as an entry of its own; the value of a name alone, `- NAME`, is that of the environment, whole",
                _ => "write each as an entry of its own",
            }
        )),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Err(format!("write entry {at} in quotes")),
        Value::Null => Err(format!("entry {at} has no value: write one, or leave it out")),
        other => Err(format!(
            "entry {at} is {}, which is no value: write one text, `- {}`",
            kind(other),
            match input {
                "build-args" | "labels" => "NAME=VALUE",
                "build-secrets" => "ID=VARIABLE",
                _ => "REFERENCE",
            }
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        _ => "a thing with a tag of its own",
    }
}

/// The one at the end belongs to YAML's `|`, and not to the value.
fn has_break(text: &str) -> bool {
    text.trim_end_matches(['\n', '\r']).contains(['\n', '\r'])
}
