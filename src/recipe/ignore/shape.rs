//! One pattern of a `.dockerignore` against one path.
//!
//! Docker turns a pattern into a regular expression, so the corners of that are the corners of its
//! rules: `[a?]` is not what it seems. This goes the same way, with the few forms that can come out.

use std::str::Chars;

use super::class::{Class, class, escape};

/// A pattern, ready to be asked.
#[derive(Clone, Debug)]
pub(in crate::recipe) struct Shape {
    text: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// The path itself.
    Exact,
    /// `a/**`: all that begins with it.
    Begins(String),
    /// `**/a`: all that ends with it.
    Ends(String),
    /// All else; several where a `|` divides it, which Docker forgets to escape.
    Steps(Vec<Steps>),
}

/// States of an automaton, in order; the end is one after the last.
#[derive(Clone, Debug)]
struct Steps {
    steps: Vec<Step>,
    /// What every match begins and ends with, asked first because it is cheap.
    head: String,
    tail: String,
}

#[derive(Clone, Debug)]
enum Step {
    /// One character of a class.
    One(Class),
    /// None or one of them.
    Maybe(Class),
    /// Any number of them.
    Many(Class),
    /// `(.*/)?`: nothing, or anything up to a slash.
    Folders,
    /// The place between two characters: the beginning, or (not) the edge of a word.
    Begin,
    Edge(bool),
}

impl Shape {
    /// Reads a cleaned pattern, without its `!`.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        checked(text)?;
        let (form, expression) = translated(text);
        let form = match form {
            Kind::Exact => Form::Exact,
            Kind::Begins => Form::Begins(text[..text.len() - 2].into()),
            Kind::Ends => Form::Ends(text[2..].into()),
            Kind::Steps => Form::Steps(alternatives(&expression)?),
        };
        Ok(Self { text: text.into(), form })
    }

    /// A pattern of one name, where `**` is no more than `*`: that of Go's `filepath.Match`.
    pub(in crate::recipe) fn name(text: &str) -> Result<Self, String> {
        checked(text)?;
        let mut steps = Vec::new();
        let mut left = text.chars();
        while let Some(letter) = left.next() {
            steps.push(match letter {
                '*' => Step::Many(Class::not('/')),
                '?' => Step::One(Class::not('/')),
                '[' => Step::One(class(&mut left, false)?),
                '\\' => Step::One(Class::only(left.next().unwrap_or('\\'))),
                letter => Step::One(Class::only(letter)),
            });
        }
        Ok(Self { text: text.into(), form: Form::Steps(vec![Steps::new(steps)]) })
    }

    /// Whether it matches this very path.
    pub(in crate::recipe) fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Exact => path == self.text,
            Form::Begins(head) => path.starts_with(head.as_str()),
            Form::Ends(tail) => {
                path.ends_with(tail.as_str()) || tail.strip_prefix('/') == Some(path)
            }
            Form::Steps(each) => each.iter().any(|steps| steps.match_all(path)),
        }
    }

    /// Whether it matches a folder on the way to a path.
    pub(super) fn matches_above(&self, path: &str) -> bool {
        path.match_indices('/').any(|(at, _)| self.matches(&path[..at]))
    }

    /// What is left of it without `/**` or `/*` at its end, which every folder's content matches.
    fn stem(&self) -> &str {
        let stem = self.text.strip_suffix("/**").unwrap_or(&self.text);
        stem.strip_suffix("/*").unwrap_or(stem)
    }

    /// Whether it cannot be told from its text which folders it leads to.
    pub(super) fn is_wild(&self) -> bool {
        self.stem().contains(['*', '[', ']', '?', '^', '\\'])
    }

    /// Whether it names something in a folder.
    pub(super) fn leads_below(&self, folder: &str) -> bool {
        self.stem()
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether Go's `filepath.Match` takes a pattern, which Docker asks first.
fn checked(text: &str) -> Result<(), String> {
    let mut left = text.chars();
    while let Some(letter) = left.next() {
        match letter {
            '\\' if left.next().is_none() => return Err("nothing follows its last `\\`".into()),
            '[' => checked_class(&mut left)?,
            _ => {}
        }
    }
    Ok(())
}

fn checked_class(left: &mut Chars<'_>) -> Result<(), String> {
    const OPEN: &str = "its `[` is not closed";
    let mut first = true;
    if left.as_str().starts_with('^') {
        left.next();
    }
    loop {
        if !first && left.as_str().starts_with(']') {
            left.next();
            return Ok(());
        }
        first = false;
        one_of_class(left)?;
        if left.as_str().starts_with('-') {
            left.next();
            one_of_class(left)?;
        }
        if left.as_str().is_empty() {
            return Err(OPEN.into());
        }
    }
}

fn one_of_class(left: &mut Chars<'_>) -> Result<(), String> {
    const OPEN: &str = "its `[` is not closed";
    match left.next() {
        None => Err(OPEN.into()),
        Some('\\') => left.next().map(|_| ()).ok_or_else(|| OPEN.into()),
        Some(letter @ ('-' | ']')) => {
            Err(format!("a bare `{letter}` stands where a character of `[...]` should"))
        }
        Some(_) => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Begins,
    Ends,
    Steps,
}

/// The expression that Docker makes of a pattern, and how it asks it.
fn translated(text: &str) -> (Kind, String) {
    let mut kind = Kind::Exact;
    let mut made = String::new();
    let mut left = text.chars().peekable();
    let mut first = true;
    while let Some(letter) = left.next() {
        let begins = std::mem::take(&mut first);
        match letter {
            '*' if left.next_if_eq(&'*').is_some() => {
                left.next_if_eq(&'/');
                let (next, part) = match left.peek() {
                    None if kind == Kind::Exact => (Kind::Begins, ""),
                    None => (Kind::Steps, ".*"),
                    Some(_) => (Kind::Steps, "(.*/)?"),
                };
                kind = if begins { Kind::Ends } else { next };
                made.push_str(part);
            }
            '*' => {
                made.push_str("[^/]*");
                kind = Kind::Steps;
            }
            '?' => {
                made.push_str("[^/]");
                kind = Kind::Steps;
            }
            '.' | '+' | '(' | ')' | '$' => made.extend(['\\', letter]),
            '\\' => {
                made.push('\\');
                made.extend(left.next());
                kind = Kind::Steps;
            }
            letter => {
                made.push(letter);
                if matches!(letter, '[' | ']') {
                    kind = Kind::Steps;
                }
            }
        }
    }
    (kind, made)
}

/// Reads an expression of the few forms that `translated` makes. Its `^` and `$` belong to the first
/// and the last alternative, so a `|` sets the other end of each free.
fn alternatives(expression: &str) -> Result<Vec<Steps>, String> {
    let mut all = Vec::new();
    let mut steps = Vec::new();
    let mut left = expression.chars();
    while let Some(letter) = left.next() {
        let class = match letter {
            '(' => {
                // The only group there is: `(.*/)?`.
                left = left.as_str()[5..].chars();
                steps.push(Step::Folders);
                continue;
            }
            '|' => {
                steps.push(Step::Many(Class::any()));
                all.push(Steps::new(std::mem::take(&mut steps)));
                steps.push(Step::Many(Class::any()));
                continue;
            }
            '^' => {
                steps.push(Step::Begin);
                continue;
            }
            '\\' if left.as_str().starts_with(['b', 'B']) => {
                steps.push(Step::Edge(left.next() == Some('b')));
                continue;
            }
            '[' => class(&mut left, true)?,
            '.' => Class::not('\n'),
            '\\' => escape(left.next())?,
            letter => Class::only(letter),
        };
        repeated(class, &mut left, &mut steps)?;
    }
    all.push(Steps::new(steps));
    Ok(all)
}

/// Adds a class as often as the `*` or the `{2,3}` after it says; Docker does not escape braces.
fn repeated(class: Class, left: &mut Chars<'_>, steps: &mut Vec<Step>) -> Result<(), String> {
    if let Some(rest) = left.as_str().strip_prefix('*') {
        *left = rest.chars();
        steps.push(Step::Many(class));
        return Ok(());
    }
    let Some((low, high, rest)) = counts(left.as_str()) else {
        steps.push(Step::One(class));
        return Ok(());
    };
    if low > MOST || high.is_some_and(|high| high > MOST || high < low) {
        return Err(format!("`{{{low}` repeats what is before it, and that often is too often"));
    }
    *left = rest.chars();
    steps.extend(std::iter::repeat_n(Step::One(class.clone()), low));
    match high {
        None => steps.push(Step::Many(class)),
        Some(high) => steps.extend(std::iter::repeat_n(Step::Maybe(class), high - low)),
    }
    Ok(())
}

/// As often as Go's expressions repeat.
const MOST: usize = 1000;

/// `{2}`, `{2,}` or `{2,3}`, and what follows.
fn counts(text: &str) -> Option<(usize, Option<usize>, &str)> {
    let (inside, rest) = text.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    match inside.split_once(',') {
        None => number(inside).map(|count| (count, Some(count), rest)),
        Some((low, "")) => number(low).map(|low| (low, None, rest)),
        Some((low, high)) => Some((number(low)?, Some(number(high)?), rest)),
    }
}

impl Steps {
    fn new(steps: Vec<Step>) -> Self {
        let letter = |step: &Step| match step {
            Step::One(class) => class.single(),
            _ => None,
        };
        let head = steps.iter().map_while(letter).collect();
        let mut tail: Vec<char> = steps.iter().rev().map_while(letter).collect();
        tail.reverse();
        Self { head, tail: tail.into_iter().collect(), steps }
    }

    fn match_all(&self, path: &str) -> bool {
        if !path.starts_with(&self.head) || !path.ends_with(&self.tail) {
            return false;
        }
        // Two bits a step (before it, and within a group), and one for the end.
        let words = (self.steps.len() * 2 + 1).div_ceil(64);
        let mut few = [0_u64; 8];
        let mut many;
        let room = if words * 2 <= few.len() {
            &mut few[..words * 2]
        } else {
            many = vec![0; words * 2];
            &mut many[..]
        };
        let (now, next) = room.split_at_mut(words);
        self.run(path, now, next)
    }

    /// All states at once, a character at a time: no pattern can make it slow.
    fn run<'a>(&self, path: &str, mut now: &'a mut [u64], mut next: &'a mut [u64]) -> bool {
        let mut letters = path.chars();
        self.enter(0, now, (None, path.chars().next()));
        while let Some(letter) = letters.next() {
            let after = letters.as_str().chars().next();
            next.fill(0);
            for state in bits(now) {
                self.step(state, letter, next, (Some(letter), after));
            }
            std::mem::swap(&mut now, &mut next);
            if now.iter().all(|word| *word == 0) {
                return false;
            }
        }
        has(now, self.steps.len() * 2)
    }

    /// Where one state goes with one character.
    fn step(&self, state: usize, letter: char, next: &mut [u64], around: Around) {
        let Some(step) = self.steps.get(state / 2) else { return };
        let on = state / 2 * 2 + 2;
        match step {
            Step::One(class) | Step::Maybe(class) if class.has(letter) => {
                self.enter(on, next, around)
            }
            Step::Many(class) if class.has(letter) => self.enter(state, next, around),
            Step::Folders if state % 2 == 1 && letter != '\n' => {
                set(next, state);
                if letter == '/' {
                    self.enter(on, next, around);
                }
            }
            _ => {}
        }
    }

    /// Enters a state, and those that need no character to be reached from it.
    fn enter(&self, mut state: usize, states: &mut [u64], (before, after): Around) {
        loop {
            set(states, state);
            let goes_on = match self.steps.get(state / 2) {
                None | Some(Step::One(_)) => false,
                Some(Step::Many(_) | Step::Maybe(_)) => true,
                Some(Step::Folders) => {
                    set(states, state + 1);
                    true
                }
                Some(Step::Begin) => before.is_none(),
                Some(Step::Edge(wanted)) => (in_word(before) != in_word(after)) == *wanted,
            };
            if !goes_on {
                return;
            }
            state += 2;
        }
    }
}

/// The characters before and after a place.
type Around = (Option<char>, Option<char>);

fn in_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn set(states: &mut [u64], at: usize) {
    states[at / 64] |= 1 << (at % 64);
}

fn has(states: &[u64], at: usize) -> bool {
    states[at / 64] & (1 << (at % 64)) != 0
}

fn bits(states: &[u64]) -> impl Iterator<Item = usize> {
    let each = |(at, word): (usize, &u64)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(at * 64 + bit)
        })
    };
    states.iter().enumerate().flat_map(each)
}
