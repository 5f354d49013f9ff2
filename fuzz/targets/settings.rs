//! Any environment: the parsers answer, all of them, and what they answer repeats no secret.
#![no_main]

use std::{collections::HashMap, io, path::Path, sync::LazyLock};

use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};
use mini_api::{
    auth::token::Tokens,
    config::{
        Settings,
        table::{GROUPS, Setting},
    },
};

/// Stands in every secret, so that it can be looked for. It is one word for the parsers: no part of a URL ends in it.
const MARK: &str = "s3kr1tMARKs3kr1t";

static SETTINGS: LazyLock<Vec<&'static Setting>> =
    LazyLock::new(|| GROUPS.iter().flat_map(|(_, settings)| settings.iter()).collect());

/// Variables and files, read from the input; a secret's value is the text with `*` replaced by the mark.
fn environment(data: &mut Unstructured<'_>) -> (HashMap<String, String>, Vec<u8>) {
    let mut variables = HashMap::new();
    let file = data.arbitrary::<&[u8]>().unwrap_or_default().to_vec();
    while !data.is_empty() {
        let Ok(setting) = data.choose(&SETTINGS) else { break };
        let Ok(value) = data.arbitrary::<&str>() else { break };
        if data.arbitrary().unwrap_or(false) {
            variables.insert(setting.file_name(), value.to_owned());
        } else if setting.is_secret() {
            variables.insert(setting.name.to_owned(), value.replace('*', MARK));
        } else {
            variables.insert(setting.name.to_owned(), value.to_owned());
        }
    }
    (variables, file)
}

fuzz_target!(|data: &[u8]| {
    let (variables, file) = environment(&mut Unstructured::new(data));
    let read = |path: &Path| match path.to_str() {
        Some("") | None => Err(io::ErrorKind::NotFound.into()),
        Some(_) => Ok(String::from_utf8_lossy(&file).replace('*', MARK).into_bytes()),
    };
    match Settings::from_env(|name| variables.get(name).cloned(), read) {
        Ok(settings) => {
            assert!(!format!("{settings:?}").contains(MARK), "{variables:?}");
            if let Err(bad) = Tokens::new(&settings.tokens) {
                assert!(!bad.0.contains(MARK), "{}", bad.0);
            }
        }
        Err(faults) => {
            assert!(!faults.0.is_empty(), "refused without a reason");
            assert!(!faults.to_string().contains(MARK), "{faults}");
        }
    }
});
