//! Files that say how things look; `UPDATE_GOLDEN=1 scripts/test api` writes them anew.

use std::{fs, path::Path};

/// Asserts that `text` is what the file `name` under tests/golden has.
#[track_caller]
pub fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        return fs::write(&path, text).expect("the file can be written");
    }
    let wanted = fs::read_to_string(&path).unwrap_or_else(|e| panic!("tests/golden/{name}: {e}"));
    if text == wanted {
        return;
    }
    let differs = text.lines().zip(wanted.lines()).position(|(is, was)| is != was);
    let line = differs.unwrap_or(text.lines().count().min(wanted.lines().count()));
    panic!(
        "tests/golden/{name} differs from line {}:\n  is  {}\n  was {}\nwhen that is meant, write it anew with UPDATE_GOLDEN=1",
        line + 1,
        text.lines().nth(line).unwrap_or("(end)"),
        wanted.lines().nth(line).unwrap_or("(end)")
    );
}
