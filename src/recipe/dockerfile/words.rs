//! Variables in a word of a Dockerfile: `$A`, `${A}`, `${A:-b}`, as the builder fills them in.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// What variables stand for.
pub(super) type Values = BTreeMap<String, String>;

/// Fills in the variables of a word, and takes its quotes away. A variable that is not set is empty.
///
/// # Errors
/// The clause that says why it cannot be filled in.
pub(super) fn filled(word: &str, values: &Values, escape: char) -> Result<String, String> {
    let mut letters = word.chars().peekable();
    let mut made = String::new();
    part(&mut letters, values, escape, None, &mut made)?;
    Ok(made)
}

/// Goes on up to a character, which is taken, or to the end.
fn part(
    letters: &mut Peekable<Chars<'_>>,
    values: &Values,
    escape: char,
    stop: Option<char>,
    made: &mut String,
) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == stop => return Ok(()),
            '\'' => loop {
                match letters.next() {
                    Some('\'') => break,
                    Some(letter) => made.push(letter),
                    None => return Err("a `'` is not closed".into()),
                }
            },
            '"' => part(letters, values, escape, Some('"'), made)?,
            '$' => made.push_str(&variable(letters, values, escape)?),
            letter if letter == escape => made.extend(letters.next()),
            letter => made.push(letter),
        }
    }
    match stop {
        Some(stop) => Err(format!("a `{stop}` is missing")),
        None => Ok(()),
    }
}

/// What follows a `$`.
fn variable(
    letters: &mut Peekable<Chars<'_>>,
    values: &Values,
    escape: char,
) -> Result<String, String> {
    if letters.next_if_eq(&'{').is_none() {
        let name = name(letters);
        let value = values.get(&name).cloned().unwrap_or_default();
        return Ok(if name.is_empty() { "$".into() } else { value });
    }
    let name = name(letters);
    let value = values.get(&name);
    if name.is_empty() {
        return Err("a `${` names nothing".into());
    }
    let mut sign = letters.next();
    if sign == Some('}') {
        return Ok(value.cloned().unwrap_or_default());
    }
    let filled = if sign == Some(':') {
        sign = letters.next();
        value.filter(|value| !value.is_empty())
    } else {
        value
    };
    if !matches!(sign, Some('-' | '+' | '?')) {
        return Err(format!("`${{{name}` is cut or replaced in a way that only the builder knows"));
    }
    let mut other = String::new();
    part(letters, values, escape, Some('}'), &mut other)?;
    match (sign, filled) {
        (Some('+'), Some(_)) => Ok(other),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("`{name}` has no value, and has to have one")),
        (_, Some(value)) => Ok(value.clone()),
        (_, None) => Ok(other),
    }
}

fn name(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(letter);
    }
    name
}
