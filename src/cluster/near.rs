//! The name that was probably meant.
//!
//! Pure. A wrong guess is worse than none, so only a name that differs little is offered.

/// The nearest of `names`, if it is near enough to be a slip: a third of its letters at most, or one
/// contains the other.
pub(super) fn near<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    let best = names.iter().min_by_key(|name| distance(wanted, name))?;
    let longest = wanted.chars().count().max(best.chars().count());
    if distance(wanted, best) * 3 <= longest {
        return Some(best);
    }
    let mut containing = names.iter().filter(|n| n.contains(wanted) || wanted.contains(n.as_str()));
    containing.next().filter(|_| containing.next().is_none())
}

/// Letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_or_a_single_longer_name_is_offered() {
        let names: Vec<String> = ["order-backend", "order-frontend", "web"].map(Into::into).into();
        let rows = [
            ("order-bakend", Some("order-backend")),
            ("wbe", None),
            ("web-app", Some("web")),
            ("order", None),
            ("payments", None),
        ];
        for (wanted, expected) in rows {
            assert_eq!(near(wanted, &names).map(String::as_str), expected, "{wanted}");
        }
    }
}
