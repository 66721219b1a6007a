//! What was typed, and where: flags, then `INPUT_*`, then the environment, then `slipway.yml`.
//!
//! Nothing is interpreted here. An empty string is absent, everywhere. Every fault is kept, so that
//! all of them are told at once.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;

use super::config;
use super::table::{Command, INPUTS, Input, Ways, find, meant};
use crate::error::one_line;
use crate::names::nearest;

/// The process's environment, read once.
pub type Environment = BTreeMap<String, String>;

/// One value and where it came from. No `Debug`: it may be a secret.
#[derive(Clone)]
pub struct Given {
    /// As it was typed.
    pub value: String,
    /// Which way it came.
    pub origin: Origin,
}

/// Which way a value came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--name`.
    Flag,
    /// `INPUT_NAME`.
    Action,
    /// An environment variable.
    Environment(String),
    /// `slipway.yml`: where its entry stands, and each line of a value that is a list or a mapping.
    File(Place, Vec<Place>),
    /// The table's default.
    Default,
}

/// A place in a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The whole line that is told.
    pub said: String,
    /// Where, if it is in a file.
    pub place: Option<Place>,
}

impl Fault {
    /// A fault without a place.
    #[must_use]
    pub fn new(said: impl Into<String>) -> Self {
        Self { said: said.into(), place: None }
    }

    /// A fault at a place.
    #[must_use]
    pub fn at(place: Place, said: &str) -> Self {
        Self { said: format!("{place}: {said}"), place: Some(place) }
    }
}

/// The command line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `-h`, for all or for one command.
    Help(Option<Command>),
    /// `-V`.
    Version,
    /// A command with its words and the values of its flags.
    Run(Command, Vec<String>, BTreeMap<&'static str, String>),
}

/// Takes the command line apart. `on_runner` is the action: the command is in `INPUT_COMMAND` then.
pub fn arguments(words: &[String], environment: &Environment) -> (Asked, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut flags = BTreeMap::new();
    let mut loose = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            _ if word == "-h" || word == "--help" => {
                return (
                    Asked::Help(loose.first().and_then(|w: &String| Command::find(w))),
                    Vec::new(),
                );
            }
            _ if word == "-V" || word == "--version" => return (Asked::Version, Vec::new()),
            Some("") => {
                faults
                    .push(Fault::new("`--` ends nothing here: inputs are written `--name value`"));
            }
            Some(flag) => {
                let known = !loose.is_empty();
                take_flag(flag, &mut words, known, &mut flags, &mut faults);
            }
            None if word.starts_with('-') && word.len() > 1 => faults.push(Fault::new(format!(
                "`{word}` is no flag: inputs are written `--name value`"
            ))),
            None => loose.push(word.clone()),
        }
    }
    let asked = command(loose, flags, is_action(environment), environment, &mut faults);
    (asked, faults)
}

/// The value of a flag is the next word, but never another flag.
fn value<'a>(words: &mut Peekable<impl Iterator<Item = &'a String>>) -> Option<String> {
    words.next_if(|word| !word.starts_with("--")).cloned()
}

/// Takes one flag and its value. `known`: the command stands before it, so that the word after an
/// unknown flag can only be its value.
fn take_flag<'a>(
    flag: &str,
    words: &mut Peekable<impl Iterator<Item = &'a String>>,
    known: bool,
    flags: &mut BTreeMap<&'static str, String>,
    faults: &mut Vec<Fault>,
) {
    let (name, attached) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (flag, None),
    };
    match find(name) {
        Some(input) if input.ways == Ways::Switch => {
            // Taken with it, so that it is not told as a stray word.
            if attached.is_none()
                && let Some(word) = words.next_if(|word| matches!(word.as_str(), "true" | "false"))
            {
                let way = match word.as_str() {
                    "true" => format!("`--{name}` or `--{name}=true`"),
                    _ => format!("`--{name}=false`, or leave it out"),
                };
                let said = format!("`{name}` is a switch, with no word after it: write {way}");
                faults.push(Fault::new(said));
            }
            flags.insert(input.name, attached.unwrap_or_else(|| "true".into()));
        }
        Some(input) if input.has_flag() => match attached.or_else(|| value(words)) {
            Some(value) => put_flag(input.name, value, flags, faults),
            None => {
                faults.push(Fault::new(format!("`{name}` has no value: write `--{name} VALUE`")))
            }
        },
        Some(input) => {
            // The value is taken with it, so that it is not told as a stray word.
            attached.or_else(|| value(words));
            faults.push(Fault::new(no_flag(input)));
        }
        None => {
            // So here: what stands behind a slip in the name of a secret must not be shown.
            if attached.is_none() {
                let is_value = |word: &&String| known || Command::find(word).is_none();
                words.next_if(|word| !word.starts_with("--") && is_value(word));
            }
            faults.push(Fault::new(unknown(name)));
        }
    }
}

/// A flag that is given twice is added to where several values are meant, and refused elsewhere:
/// which of two clusters is meant is not for slipway to say.
fn put_flag(
    name: &'static str,
    value: String,
    flags: &mut BTreeMap<&'static str, String>,
    faults: &mut Vec<Fault>,
) {
    match flags.get_mut(name) {
        Some(first) if matches!(name, "allow" | "platform") => {
            first.push(',');
            first.push_str(&value);
        }
        Some(first) if takes_lines(name) => {
            first.push('\n');
            first.push_str(&value);
        }
        Some(first) if *first != value => faults.push(Fault::new(format!(
            "`{name}` is given twice, as \"{}\" and \"{}\": give it once",
            one_line(first, 60),
            one_line(&value, 60)
        ))),
        _ => {
            flags.insert(name, value);
        }
    }
}

/// Inputs of several values, one a line.
pub fn takes_lines(name: &str) -> bool {
    matches!(
        name,
        "build-args" | "build-secrets" | "labels" | "cache-from" | "cache-to" | "base-logins"
    )
}

fn no_flag(input: &Input) -> String {
    match input.environment.first() {
        Some(variable) => format!(
            "`{}` has no flag, which the process list would show: set {variable}",
            input.name
        ),
        None if input.ways == Ways::Secret => format!(
            "`{}` has no flag, which the process list would show: set {}",
            input.name,
            input.own_variable()
        ),
        None => format!("`{}` has no flag: write it as the first word, `slipway plan`", input.name),
    }
}

fn unknown(name: &str) -> String {
    let meant = meant(name, INPUTS.iter().map(|input| input.name));
    let meant = meant.map_or(String::new(), |meant| format!(": {meant}"));
    format!("`{name}` is no input{meant}")
}

fn command(
    loose: Vec<String>,
    flags: BTreeMap<&'static str, String>,
    action: bool,
    environment: &Environment,
    faults: &mut Vec<Fault>,
) -> Asked {
    let typed = loose.first().cloned().or_else(|| {
        let given = environment.get("INPUT_COMMAND").filter(|c| !c.is_empty()).cloned();
        action.then(|| given.unwrap_or_else(|| Command::Ship.word().into()))
    });
    let Some(typed) = typed else { return Asked::Help(None) };
    if typed == "help" {
        return Asked::Help(loose.get(1).and_then(|word| Command::find(word)));
    }
    let Some(command) = Command::find(&typed) else {
        let near = nearest(&typed, Command::ALL.iter().map(|c| c.word()));
        let meant =
            near.map_or_else(|| ": see `slipway -h`".into(), |n| format!(": did you mean `{n}`?"));
        faults.push(Fault::new(format!("`{typed}` is no command{meant}")));
        // Which inputs are needed is not known without a command: one that needs none stands in.
        return Asked::Run(Command::Explain, Vec::new(), flags);
    };
    let words: Vec<_> = loose.into_iter().skip(1).collect();
    if command.takes_inputs() {
        faults.extend(words.iter().map(|w| {
            Fault::new(format!("`{w}` is a stray word: inputs are written `--name value`"))
        }));
    }
    Asked::Run(command, words, flags)
}

/// Whether this process is the action's container: the runner hands it inputs.
#[must_use]
pub fn is_action(environment: &Environment) -> bool {
    on_runner(environment) && environment.keys().any(|k| k.starts_with("INPUT_"))
}

/// Whether this process runs in a workflow. Elsewhere `INPUT_METHOD` and its like belong to others.
#[must_use]
pub fn on_runner(environment: &Environment) -> bool {
    environment.get("GITHUB_ACTIONS").is_some_and(|v| v == "true")
}

/// What was given, all ways in taken together.
pub struct Collected {
    /// The values.
    pub values: BTreeMap<&'static str, Given>,
    /// Every fault on the way.
    pub faults: Vec<Fault>,
    /// The file that was read.
    pub file: Option<String>,
    /// There is a file, and nothing of it could be taken.
    pub file_is_lost: bool,
}

/// Every value that was given, by the order of precedence, and every fault on the way.
pub fn collect(
    flags: BTreeMap<&'static str, String>,
    environment: &Environment,
    folder: &Path,
) -> Collected {
    let mut values = BTreeMap::new();
    let mut faults = Vec::new();
    let mut put = |name: &'static str, value: &str, origin: Origin| {
        if !value.is_empty() {
            values.entry(name).or_insert(Given { value: value.into(), origin });
        }
    };
    for (name, value) in &flags {
        put(name, value, Origin::Flag);
    }
    if on_runner(environment) {
        for (variable, value) in environment.iter().filter(|(k, _)| k.starts_with("INPUT_")) {
            match INPUTS.iter().find(|i| i.action_variable() == *variable) {
                Some(input) => put(input.name, value.trim(), Origin::Action),
                None => faults
                    .push(Fault::new(unknown(&variable["INPUT_".len()..].to_ascii_lowercase()))),
            }
        }
    }
    for input in INPUTS.iter().filter(|i| i.ways != Ways::Action) {
        let own = [input.own_variable()];
        for variable in own.iter().map(String::as_str).chain(input.environment.iter().copied()) {
            if let Some(value) = environment.get(variable) {
                put(input.name, value.trim(), Origin::Environment(variable.into()));
            }
        }
    }
    let named = values.get("config").map(|given| given.value.clone());
    let mut read = config::read(folder, named.as_deref());
    faults.append(&mut read.faults);
    for config::Entry { name, value, place, lines } in read.entries {
        if !value.is_empty() {
            values.entry(name).or_insert(Given { value, origin: Origin::File(place, lines) });
        }
    }
    for input in INPUTS {
        if let Some(default) = input.default {
            values
                .entry(input.name)
                .or_insert(Given { value: default.into(), origin: Origin::Default });
        }
    }
    Collected { values, faults, file: read.file, file_is_lost: read.is_lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command that was understood, its flags, and every fault.
    fn typed(line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let (asked, faults) = arguments(&words, &Environment::new());
        let faults: Vec<_> = faults.into_iter().map(|fault| fault.said).collect();
        let flags = match asked {
            Asked::Run(command, _, flags) => {
                let flags: Vec<_> = flags.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("{} {}", command.word(), flags.join(" "))
            }
            Asked::Help(_) | Asked::Version => "no run".into(),
        };
        format!("{} | {}", flags.trim_end(), faults.join(" / "))
    }

    #[test]
    fn a_flag_never_takes_another_flag_as_its_value() {
        insta::assert_snapshot!(typed("plan --cluster --namespace shop"), @"plan namespace=shop | `cluster` has no value: write `--cluster VALUE`");
        insta::assert_snapshot!(typed("plan --bake -5s --cluster"), @"plan bake=-5s | `cluster` has no value: write `--cluster VALUE`");
    }

    #[test]
    fn the_value_of_an_unknown_flag_is_no_stray_word() {
        insta::assert_snapshot!(typed("ship --servces all --cluster prod"), @"ship cluster=prod | `servces` is no input");
        insta::assert_snapshot!(typed("--servces ship"), @"ship | `servces` is no input");
        insta::assert_snapshot!(typed("ship --"), @"ship | `--` ends nothing here: inputs are written `--name value`");
    }

    #[test]
    fn a_switch_and_a_word_after_it_are_told_as_they_are_written() {
        insta::assert_snapshot!(typed("ship --no-cache true --pull=false"), @"ship no-cache=true pull=false | `no-cache` is a switch, with no word after it: write `--no-cache` or `--no-cache=true`");
        insta::assert_snapshot!(typed("ship --no-cache false --cluster a"), @"ship cluster=a no-cache=true | `no-cache` is a switch, with no word after it: write `--no-cache=false`, or leave it out");
        insta::assert_snapshot!(typed("--no-cache ship"), @"ship no-cache=true |");
    }

    #[test]
    fn an_unknown_command_stands_in_as_one_that_needs_no_inputs() {
        insta::assert_snapshot!(typed("shp --cluster prod"), @"explain cluster=prod | `shp` is no command: did you mean `ship`?");
    }

    #[test]
    fn a_flag_that_is_given_twice_is_refused_where_one_value_is_meant() {
        insta::assert_snapshot!(typed("ship --cluster a --cluster b --cluster a"), @r#"ship cluster=a | `cluster` is given twice, as "a" and "b": give it once"#);
        insta::assert_snapshot!(typed("ship --cluster a --cluster a"), @"ship cluster=a |");
        insta::assert_snapshot!(typed("ship --allow SW-COMMIT-BEHIND --allow SW-IMAGE-WITHDRAWN"), @"ship allow=SW-COMMIT-BEHIND,SW-IMAGE-WITHDRAWN |");
    }
}
