use std::{cell::RefCell, collections::BTreeSet, fmt::Write as _, fs, path::Path};

use super::{super::table, *};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const BEGIN: &str = "<!-- settings: printed from src/config/table.rs -->";
const END: &str = "<!-- /settings -->";

fn tables() -> String {
    let mut text = String::new();
    for (group, settings) in table::GROUPS {
        writeln!(text, "\n### {group}\n\n| Name | Values | Default | Meaning |\n|---|---|---|---|").unwrap();
        for setting in *settings {
            let file = if setting.is_secret() { format!("<br>`{}`", setting.file_name()) } else { String::new() };
            let default = if setting.default.is_empty() { "–".into() } else { format!("`{}`", setting.default) };
            let (name, values, meaning) = (setting.name, setting.values.to_string(), setting.meaning);
            writeln!(text, "| `{name}`{file} | {values} | {default} | {meaning} |").unwrap();
        }
    }
    text + "\n"
}

#[test]
fn the_page_lists_the_settings_as_they_are() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n{}{END}{after}", tables());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(PAGE, &wanted).unwrap();
    } else {
        assert!(page == wanted, "run UPDATE_GOLDEN=1 cargo test the_page_lists to print the tables anew");
    }
}

#[test]
fn nothing_is_read_that_the_table_does_not_list_and_all_that_it_lists_is_read() {
    let asked = RefCell::new(BTreeSet::new());
    for algorithm in ["HS256", "EdDSA"] {
        let look_up = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            (name == "JWT_ALG").then(|| algorithm.to_owned())
        };
        // The DB_* parts are read only where one of them is set.
        let parts = |name: &str| look_up(name).or((name == "DB_PASSWORD").then(|| "pw".to_owned()));
        let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let _ = Settings::from_env(look_up, read);
        let _ = Settings::from_env(parts, read);
    }
    for (near_miss, meant) in table::NEAR_MISSES {
        assert!(asked.borrow_mut().remove(*near_miss), "{near_miss}");
        assert!(!near_miss.is_empty() && !meant.is_empty());
    }
    let settings = || table::GROUPS.iter().flat_map(|(_, group)| group.iter());
    let listed: BTreeSet<_> = settings()
        .flat_map(|s| std::iter::once(s.name.to_owned()).chain(s.is_secret().then(|| s.file_name())))
        .collect();
    assert_eq!(asked.into_inner(), listed);
    for (_, meant) in table::NEAR_MISSES {
        assert!(listed.contains(*meant), "{meant}");
    }
}
