//! What a Dockerfile comes to: stages, their bases, and the instructions that are played.

use std::collections::{BTreeMap, BTreeSet};

use super::dockerfile::{Line, array};
use super::wrong::Wrong;

/// A stage of a Dockerfile.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: Option<String>,
    /// `scratch`, another stage, or an image.
    pub(crate) base: String,
    /// What it is built for, where it says so.
    pub(crate) platform: Option<String>,
    pub(crate) from: Line,
    pub(crate) steps: Vec<Step>,
}

/// An instruction of a stage.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: Line,
    pub(crate) does: Does,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    Copy { from: Option<String>, sources: Vec<String>, to: String },
    Run { command: Command, mounts: Vec<Mount> },
    Workdir(String),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Arg(String, Option<String>),
    Entrypoint(Command),
    Cmd(Command),
    Expose(Vec<String>),
    User(String),
    Shell(Vec<String>),
}

/// What is run: its words, or a line for the shell.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Words(Vec<String>),
    Shell(String),
}

/// A secret that a step sees.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) id: String,
    pub(crate) is_required: bool,
}

/// Variables, by their names.
pub(crate) type Variables = BTreeMap<String, String>;

impl Does {
    /// Whether it makes a layer.
    pub(crate) fn makes_layer(&self) -> bool {
        matches!(self, Self::Copy { .. } | Self::Run { .. } | Self::Workdir(_))
    }
}

/// The stages of these lines; `args` are the caller's.
pub(crate) fn stages(lines: &[Line], args: &Variables) -> Result<Vec<Stage>, Wrong> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut globals = args.clone();
    for line in lines {
        match (line.word.as_str(), stages.last_mut()) {
            ("FROM", _) => stages.push(stage(line, &globals)?),
            ("ARG", None) => {
                let (name, value) = line.rest.split_once('=').unwrap_or((&line.rest, ""));
                globals.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
            (_, None) => return Err(Wrong::NoStage { line: line.lines.0 }),
            (_, Some(stage)) => stage.steps.push(step(line)?),
        }
    }
    Ok(stages)
}

fn stage(line: &Line, globals: &Variables) -> Result<Stage, Wrong> {
    let (options, rest) = line.options();
    let platform = options.iter().find(|(name, _)| *name == "platform");
    let platform = platform.map(|(_, value)| expanded(value, globals));
    let words: Vec<_> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (*base, Some(name.to_lowercase())),
        _ => {
            let said = "FROM requires either one or three arguments".to_owned();
            return Err(Wrong::Malformed { said, line: line.lines.0 });
        }
    };
    let named = expanded(base, globals);
    if named.is_empty() {
        return Err(Wrong::BlankBase { base: base.to_owned(), line: line.lines.0 });
    }
    Ok(Stage { name, base: named, platform, from: line.clone(), steps: Vec::new() })
}

fn step(line: &Line) -> Result<Step, Wrong> {
    let words = line.words();
    let does = match line.word.as_str() {
        "COPY" | "ADD" => copy(line, words)?,
        "RUN" => run(line)?,
        "WORKDIR" => Does::Workdir(line.rest.clone()),
        "ENV" => Does::Env(pairs(line)?),
        "LABEL" => Does::Label(pairs(line)?),
        "ARG" => match line.rest.split_once('=') {
            Some((name, value)) => Does::Arg(name.into(), Some(unquoted(value))),
            None => Does::Arg(line.rest.clone(), None),
        },
        "ENTRYPOINT" => Does::Entrypoint(command(&line.rest)),
        "CMD" => Does::Cmd(command(&line.rest)),
        "EXPOSE" => Does::Expose(words),
        "USER" => Does::User(line.rest.clone()),
        "SHELL" => Does::Shell(words),
        word => return Err(Wrong::Unplayed(format!("`{word}` of a Dockerfile"))),
    };
    Ok(Step { line: line.clone(), does })
}

fn command(rest: &str) -> Command {
    array(rest).map_or_else(|| Command::Shell(rest.to_owned()), Command::Words)
}

fn copy(line: &Line, mut words: Vec<String>) -> Result<Does, Wrong> {
    let (options, _) = line.options();
    if let Some((name, _)) = options.iter().find(|(name, _)| *name != "from") {
        return Err(Wrong::Unplayed(format!("`--{name}` of `{}`", line.word)));
    }
    if words.len() < 2 {
        let said = format!(
            "{} requires at least two arguments, but only one was provided. Destination could not be determined",
            line.word
        );
        return Err(Wrong::Malformed { said, line: line.lines.0 });
    }
    let to = words.pop().unwrap_or_default();
    let is_more = |source: &String| source.contains("://") || source.contains(".tar");
    if line.word == "ADD" && words.iter().any(is_more) {
        return Err(Wrong::Unplayed("`ADD` of an archive or of an address".into()));
    }
    let from = options.first().map(|(_, from)| (*from).to_owned());
    Ok(Does::Copy { from, sources: words, to })
}

fn run(line: &Line) -> Result<Does, Wrong> {
    let (options, rest) = line.options();
    let mut mounts = Vec::new();
    for (name, value) in options {
        let fields: BTreeMap<_, _> =
            value.split(',').map(|field| field.split_once('=').unwrap_or((field, ""))).collect();
        let is_secret = name == "mount" && fields.get("type") == Some(&"secret");
        let Some(id) = fields.get("id").filter(|_| is_secret && !fields.contains_key("env")) else {
            return Err(Wrong::Unplayed(format!("`--{name}={value}` of `RUN`")));
        };
        let is_required = fields.get("required").is_some_and(|word| *word != "false");
        mounts.push(Mount { id: (*id).to_owned(), is_required });
    }
    Ok(Does::Run { command: command(rest), mounts })
}

/// `NAME=VALUE` pairs, or `NAME VALUE` alone.
fn pairs(line: &Line) -> Result<Vec<(String, String)>, Wrong> {
    let words: Vec<_> = line.rest.split_whitespace().collect();
    if !words.first().is_some_and(|word| word.contains('=')) {
        let (name, value) = line.rest.split_once(char::is_whitespace).unwrap_or((&line.rest, ""));
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    if line.rest.matches(['"', '\'']).count() > 2 && words.len() > 1 || line.rest.contains('\\') {
        return Err(Wrong::Unplayed(format!("several quoted values of `{}`", line.word)));
    }
    if line.rest.contains(['"', '\'']) {
        let (name, value) = line.rest.split_once('=').unwrap_or_default();
        return Ok(vec![(name.to_owned(), unquoted(value))]);
    }
    let pair = |word: &&str| word.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
    Ok(words.iter().filter_map(pair).collect())
}

fn unquoted(value: &str) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

/// The text with `$NAME`, `${NAME}` and `${NAME:-DEFAULT}` as these variables say.
pub(crate) fn expanded(text: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (name, more) = braced
            .unwrap_or_else(|| after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len())));
        let (name, fallback) = name.split_once(":-").unwrap_or((name, ""));
        let known = variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        out.push_str(known.unwrap_or(fallback));
        rest = more;
    }
    out + rest
}

/// Which stage a word names: its name or its number, before this one.
pub(crate) fn named(stages: &[Stage], word: &str) -> Option<usize> {
    let word = word.to_lowercase();
    let by_name = stages.iter().rposition(|stage| stage.name.as_deref() == Some(word.as_str()));
    by_name.or_else(|| word.parse().ok().filter(|at| *at < stages.len()))
}

/// The stages that this one needs, itself among them, in their order.
pub(crate) fn needed(stages: &[Stage], target: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::from([target]);
    let stage = &stages[target];
    let copies = stage.steps.iter().filter_map(|step| match &step.does {
        Does::Copy { from: Some(from), .. } => Some(from),
        _ => None,
    });
    for word in copies.chain([&stage.base]) {
        if let Some(other) = named(&stages[..target], word) {
            all.extend(needed(stages, other));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let known = Variables::from([("A".into(), "x".into())]);
        assert_eq!(expanded("$A/${A}-${B:-y}$B.", &known), "x/x-y.");
    }
}
