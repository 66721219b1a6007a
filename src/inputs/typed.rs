//! From what was typed to what it means: each value parses or adds its line to the faults.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::raw::{Fault, Given, Origin};
use super::table::{Command, find};
use crate::error::{Code, one_line};
use crate::names::{CommitSha, Malformed, Platform, Repository, nearest};

/// Takes typed values out of the given ones and keeps every fault.
pub struct Reader<'a> {
    values: &'a BTreeMap<&'static str, Given>,
    /// What was wrong so far.
    pub faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A reader over everything that was given.
    pub fn new(values: &'a BTreeMap<&'static str, Given>, faults: Vec<Fault>) -> Self {
        Self { values, faults }
    }

    /// The value as it was typed.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).map(|given| given.value.as_str())
    }

    /// Whether this run says it: a file says it for all runs.
    pub fn is_said(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|given| {
            !matches!(given.origin, Origin::File(..) | Origin::Default)
                && !matches!(given.value.as_str(), "" | "false")
        })
    }

    /// The folder of the file that gives this value, if a file outside of this folder does.
    pub fn folder_of(&self, name: &str) -> Option<&'a Path> {
        match &self.values.get(name)?.origin {
            Origin::File(place, _) => {
                Path::new(&place.file).parent().filter(|folder| !folder.as_os_str().is_empty())
            }
            _ => None,
        }
    }

    /// Keeps a fault in one line of a value, counted from 0, with its place if a file gives it.
    pub fn fault_in(&mut self, name: &str, line: usize, said: &str) {
        let fault = match self.values.get(name).map(|given| &given.origin) {
            Some(Origin::File(place, lines)) => {
                Fault::at(lines.get(line).unwrap_or(place).clone(), said)
            }
            _ => Fault::new(said),
        };
        self.faults.push(fault);
    }

    /// Says of every input that the command cannot do without and that is absent: it is missing.
    pub fn demand(&mut self, command: Command, but_for: &[&str]) {
        for input in super::table::INPUTS {
            let needed = input.needed_by.contains(&command) && !but_for.contains(&input.name);
            let told = format!("`{}` has no value", input.name);
            let needed = needed && !self.faults.iter().any(|fault| fault.said.starts_with(&told));
            if needed && !self.values.contains_key(input.name) {
                self.faults.push(Fault::new(format!("`{}` is missing", input.name)));
            }
        }
    }

    /// The value in its own type.
    pub fn name<T: FromStr<Err = Malformed>>(&mut self, name: &'static str) -> Option<T> {
        self.with(name, |text| text.parse())
    }

    /// The value through a parser whose error is the clause after the value.
    pub fn with<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.values.get(name)?;
        match parse(&given.value) {
            Ok(value) => Some(value),
            Err(clause) => {
                self.faults.push(bad(name, given, &clause));
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.with(name, |text| {
            let known = words.iter().find(|(word, _)| *word == text);
            known.map(|(_, value)| *value).ok_or_else(|| {
                let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                match nearest(text, words.iter().map(|(word, _)| *word)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write {}", all.join(" or ")),
                }
            })
        })
    }

    /// A switch.
    pub fn switch(&mut self, name: &'static str) -> bool {
        self.word(name, &[("true", true), ("false", false)]).unwrap_or(false)
    }

    /// A duration as people write it: `10m`, `30s`, `1h30m`.
    pub fn duration(&mut self, name: &'static str) -> Duration {
        self.with(name, duration).unwrap_or_default()
    }
}

fn bad(name: &str, given: &Given, clause: &str) -> Fault {
    let secret = find(name).is_some_and(|i| i.ways == super::table::Ways::Secret);
    // An address may have a login in it.
    let login = given.value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    let shown = match secret || login {
        true => "not usable".into(),
        false => format!("\"{}\"", one_line(&given.value, 60)),
    };
    let from = match &given.origin {
        Origin::Environment(variable) => format!(" (from {variable})"),
        Origin::Flag | Origin::Action | Origin::File(..) | Origin::Default => String::new(),
    };
    let said = format!("`{name}` is {shown}{from}: {clause}");
    match &given.origin {
        Origin::File(place, _) => Fault::at(place.clone(), &said),
        _ => Fault::new(said),
    }
}

/// No rollout is waited for longer than a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A duration that is some time: with `0s` every rollout would be late at once.
pub fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("at least `1s`".into()),
        time => Ok(time),
    }
}

/// Reads `10m`, `90s`, `1h30m`, `0s`; anything else is told how to write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (mut total, mut digits) = (Duration::ZERO, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(how_to_write(text)),
        };
        if digits.is_empty() {
            return Err(how_to_write(text));
        }
        // Digits that are no number are too many of them.
        let seconds = digits.parse().ok().and_then(|count: u64| count.checked_mul(unit));
        total = seconds
            .and_then(|seconds| total.checked_add(Duration::from_secs(seconds)))
            .filter(|total| *total <= LONGEST)
            .ok_or("at most `24h`")?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() { Ok(total) } else { Err(how_to_write(text)) }
}

fn how_to_write(text: &str) -> String {
    let number: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = text[number.len()..].trim_start().chars().next();
    match (number.is_empty(), unit) {
        (false, Some(unit @ ('s' | 'm' | 'h'))) => format!("write it as `{number}{unit}`"),
        (false, None) => format!("write it with a unit, `{number}s` or `{number}m`"),
        _ => "write it as `30s`, `10m` or `1h`".into(),
    }
}

/// A whole commit. What is shown of one in short is not looked up: a name in ECR has to be one's own.
pub fn commit(text: &str) -> Result<CommitSha, String> {
    let short = (4..40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if short {
        return Err(format!("write all 40 digits, as `git rev-parse {text}` prints them"));
    }
    text.parse()
}

/// Platforms, separated by commas.
pub fn platforms(text: &str) -> Result<Vec<Platform>, String> {
    text.split(',').map(|platform| one_platform(platform.trim())).collect()
}

/// The architectures that Kubernetes nodes on Linux have.
const ARCHITECTURES: &[&str] =
    &["amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le"];

fn one_platform(text: &str) -> Result<Platform, String> {
    let platform: Platform = text.parse()?;
    if ARCHITECTURES.contains(&platform.architecture.as_str()) {
        return Ok(platform);
    }
    Err(match nearest(&platform.architecture, ARCHITECTURES.iter().copied()) {
        Some(near) => format!("did you mean `linux/{near}`?"),
        None => "a platform is `linux/amd64` or `linux/arm64`".into(),
    })
}

/// A folder to build from. Docker's own client takes addresses of repositories there, too.
pub fn folder(text: &str) -> Result<String, String> {
    if text.contains("://") || text.starts_with("git@") {
        return Err("nothing is built from an address: check it out, and write that folder".into());
    }
    Ok(text.to_owned())
}

/// The name of an ECR repository. People copy it with the registry's host, which slipway knows.
pub fn repository(text: &str) -> Result<Repository, String> {
    match text.split_once('/') {
        Some((host, name)) if host.contains(".dkr.ecr.") => {
            Err(format!("leave the registry's host out: `{}`", one_line(name, 60)))
        }
        _ => text.parse(),
    }
}

/// Refusals that a user may overrule, because the decision is theirs.
pub const OVERRULABLE: &[Code] = &[
    Code::CommitBehind,
    Code::CommitUnknown,
    Code::ImageRecipe,
    Code::ImageWithdrawn,
    Code::WorkloadOwned,
];

/// Codes of refusals to overrule, separated by spaces, commas or lines.
pub fn allowed(text: &str) -> Result<Vec<Code>, String> {
    text.split([' ', ',', '\n']).filter(|word| !word.is_empty()).map(overrulable).collect()
}

fn overrulable(word: &str) -> Result<Code, String> {
    let all = || OVERRULABLE.iter().map(|code| code.as_str());
    match Code::find(word) {
        Some(code) if OVERRULABLE.contains(&code) => Ok(code),
        Some(code) => {
            Err(format!("{code} cannot be overruled; {} can", all().collect::<Vec<_>>().join(", ")))
        }
        None => match nearest(&word.to_ascii_uppercase(), all()) {
            Some(near) => Err(format!("did you mean `{near}`?")),
            None => Err(format!(
                "the codes that can be overruled are {}",
                all().collect::<Vec<_>>().join(", ")
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("0s"), Ok(0));
        assert_eq!(seconds("10 minutes"), Err("write it as `10m`".into()));
        assert_eq!(seconds("600"), Err("write it with a unit, `600s` or `600m`".into()));
        assert_eq!(seconds("soon"), Err("write it as `30s`, `10m` or `1h`".into()));
        assert_eq!(seconds("999h"), Err("at most `24h`".into()));
        assert_eq!(seconds("24h1s"), Err("at most `24h`".into()));
        assert_eq!(seconds("99999999999999999999s"), Err("at most `24h`".into()));
        assert_eq!(seconds("m"), Err("write it as `30s`, `10m` or `1h`".into()));
        assert_eq!(some_time("0s"), Err("at least `1s`".into()));
        assert_eq!(some_time("1m"), Ok(Duration::from_secs(60)));
    }

    #[test]
    fn a_short_commit_is_told_how_it_is_made_whole() {
        let whole = "9f2c1e4000000000000000000000000000000000";
        assert_eq!(commit(whole).map(|sha| sha.to_string()), Ok(whole.into()));
        assert_eq!(
            commit("9f2c1e4").err().as_deref(),
            Some("write all 40 digits, as `git rev-parse 9f2c1e4` prints them")
        );
        assert_eq!(commit("main").err(), "main".parse::<CommitSha>().err());
    }

    #[test]
    fn platforms_that_no_node_has_are_slips() {
        assert_eq!(platforms("linux/arm46"), Err("did you mean `linux/arm64`?".into()));
        assert_eq!(
            platforms("linux/vax"),
            Err("a platform is `linux/amd64` or `linux/arm64`".into())
        );
        assert_eq!(platforms("linux/amd64, linux/arm64").map(|all| all.len()), Ok(2));
    }

    #[test]
    fn a_repository_is_named_without_its_registry() {
        let whole = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/demo/web";
        assert_eq!(
            repository(whole).err(),
            Some("leave the registry's host out: `demo/web`".into())
        );
        assert_eq!(repository("demo/web").map(|name| name.to_string()), Ok("demo/web".into()));
    }

    #[test]
    fn only_decisions_of_the_user_can_be_overruled() {
        assert_eq!(
            allowed("sw-commit-behind, SW-IMAGE-WITHDRAWN"),
            Ok(vec![Code::CommitBehind, Code::ImageWithdrawn])
        );
        assert_eq!(allowed("SW-COMMIT-BEHNID"), Err("did you mean `SW-COMMIT-BEHIND`?".into()));
        assert!(
            allowed("SW-PLATFORM-MISSING")
                .is_err_and(|said| said.starts_with("SW-PLATFORM-MISSING cannot be overruled"))
        );
    }
}
