//! Compares a generated part of a file with what it is generated from. `UPDATE=1 cargo test` writes
//! it instead; the rest of the file is left as it is.

use std::path::PathBuf;
use std::sync::Mutex;

/// Tests run side by side, and one file may have two generated parts.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A file of the repository.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Fails unless the lines between `begin` and `end`, both whole lines, are `wanted`.
pub fn is_generated(name: &str, begin: &str, end: &str, wanted: &str) {
    let _turn = ONE_AT_A_TIME.lock();
    let text = std::fs::read_to_string(file(name)).unwrap();
    let (before, rest) = text.split_once(&format!("{begin}\n")).unwrap();
    let (part, after) = rest.split_once(&format!("{end}\n")).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let whole = format!("{before}{begin}\n{wanted}{end}\n{after}");
        std::fs::write(file(name), whole).unwrap();
        return;
    }
    assert_eq!(part, wanted, "{name} is behind the code: UPDATE=1 cargo test --test main contract");
}
