//! `--name value` pairs.

use std::{collections::HashMap, str::FromStr};

/// Why nothing was measured.
#[derive(Debug)]
pub struct Fault(pub String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub struct Arguments(HashMap<String, String>);

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut pairs = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| Fault(format!("unexpected word {word}")))?;
            let value = words.next().ok_or_else(|| Fault(format!("--{name} wants a value")))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        self.0.get(name).map(String::as_str).ok_or_else(|| Fault(format!("--{name} is missing")))
    }

    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, Fault> {
        self.text(name)?.parse().map_err(|_| Fault(format!("--{name} wants a number")))
    }

    pub fn number_or<T: FromStr>(&self, name: &str, otherwise: T) -> Result<T, Fault> {
        if self.0.contains_key(name) { self.number(name) } else { Ok(otherwise) }
    }
}
