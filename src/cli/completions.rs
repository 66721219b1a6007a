//! Completions for bash, zsh and fish, made from the tables of commands and inputs.

use crate::error::{Code, Failure};
use crate::inputs::table::{Command, INPUTS};
use crate::names::nearest;

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The script for a shell.
///
/// # Errors
/// No such shell.
pub fn script(shell: Option<&str>) -> Result<String, Failure> {
    match shell {
        Some("bash") => Ok(bash()),
        Some("zsh") => Ok(zsh()),
        Some("fish") => Ok(fish()),
        other => Err(unknown(other)),
    }
}

fn unknown(shell: Option<&str>) -> Failure {
    let what = shell.map_or_else(
        || "no shell is named".to_owned(),
        |shell| format!("there are no completions for `{shell}`"),
    );
    let meant = shell.and_then(|shell| nearest(shell, SHELLS)).unwrap_or("bash");
    Failure::new(Code::InputInvalid, what).next(format!("slipway completions {meant}"))
}

fn commands() -> String {
    Command::ALL.iter().map(|command| command.word()).collect::<Vec<_>>().join(" ")
}

fn flags() -> Vec<String> {
    INPUTS
        .iter()
        .filter(|input| input.has_flag())
        .map(|input| format!("--{}", input.name))
        .collect()
}

/// Flags whose values are paths complete to files.
fn takes_path(name: &str) -> bool {
    matches!(name, "image" | "context" | "config")
}

fn bash() -> String {
    let paths: Vec<_> =
        INPUTS.iter().filter(|i| takes_path(i.name)).map(|i| format!("--{}", i.name)).collect();
    format!(
        r#"_slipway() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  case $before in
    {paths}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    explain) COMPREPLY=($(compgen -W "exit {codes}" -- "$word")); return ;;
    completions) COMPREPLY=($(compgen -W "{shells}" -- "$word")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "{commands}" -- "$word"))
  else COMPREPLY=($(compgen -W "{flags}" -- "$word")); fi
}}
complete -F _slipway slipway
"#,
        paths = paths.join("|"),
        codes = codes(),
        shells = SHELLS.join(" "),
        commands = commands(),
        flags = flags().join(" "),
    )
}

fn zsh() -> String {
    let describe = |text: &str| text.replace('\'', "").replace([':', '['], " ").replace(']', " ");
    let commands: Vec<_> = Command::ALL
        .iter()
        .map(|c| format!("    '{}:{}'", c.word(), describe(c.about())))
        .collect();
    let flags = INPUTS.iter().filter(|input| input.has_flag()).map(|input| {
        let value = if takes_path(input.name) { ":path:_files" } else { ":value:" };
        format!("    '--{}=[{}]{value}'", input.name, describe(input.about))
    });
    format!(
        "#compdef slipway\n_slipway() {{\n  local -a commands=(\n{}\n  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  case $words[2] in\n    explain) _values code exit {}; return ;;\n    completions) _values shell {}; return ;;\n  esac\n  _arguments \\\n{}\n}}\n_slipway \"$@\"\n",
        commands.join("\n"),
        codes(),
        SHELLS.join(" "),
        flags.collect::<Vec<_>>().join(" \\\n"),
    )
}

fn fish() -> String {
    let escape = |text: &str| text.replace('\'', "\\'");
    let commands = Command::ALL.iter().map(|c| {
        format!(
            "complete -c slipway -f -n __fish_use_subcommand -a {} -d '{}'\n",
            c.word(),
            escape(c.about())
        )
    });
    let flags = INPUTS.iter().filter(|input| input.has_flag()).map(|input| {
        let files = if takes_path(input.name) { " -F" } else { "" };
        format!(
            "complete -c slipway -n 'not __fish_use_subcommand' -l {} -r{files} -d '{}'\n",
            input.name,
            escape(input.about)
        )
    });
    let values = [("explain", format!("exit {}", codes())), ("completions", SHELLS.join(" "))].map(
        |(command, values)| {
            format!(
                "complete -c slipway -f -n '__fish_seen_subcommand_from {command}' -a '{values}'\n"
            )
        },
    );
    commands.chain(flags).chain(values).collect()
}

fn codes() -> String {
    Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_and_command_is_completed_in_every_shell() {
        for shell in SHELLS {
            let script = script(Some(shell)).unwrap();
            for command in Command::ALL {
                assert!(script.contains(command.word()), "{shell}: {}", command.word());
            }
            for input in INPUTS.iter().filter(|input| input.has_flag()) {
                let flag = if shell == "fish" {
                    format!("-l {} ", input.name)
                } else {
                    format!("--{}", input.name)
                };
                assert!(script.contains(&flag), "{shell}: {flag}");
            }
            assert!(!script.contains("aws-secret-access-key"), "{shell}");
        }
        assert_eq!(script(Some("zhs")).unwrap_err().next, ["slipway completions zsh"]);
    }
}
