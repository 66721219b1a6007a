//! The nearest of some names, for a did-you-mean. Pure.

/// The name that is nearest to `typed`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).max(1);
    let part = |name: &str| name.rsplit('/').next() == typed.rsplit('/').next();
    names
        .into_iter()
        .map(|name| (if part(name) { 1 } else { distance(typed, name) }, name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let names = ["prod", "staging", "team/web"];
        assert_eq!(nearest("prdo", names), Some("prod"));
        assert_eq!(nearest("stagign", names), Some("staging"));
        assert_eq!(nearest("PROD", names), Some("prod"));
        assert_eq!(nearest("web", names), Some("team/web"));
        assert_eq!(nearest("dev", names), None);
        assert_eq!(nearest("prod", []), None);
    }
}
