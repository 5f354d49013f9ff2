//! What the settings promise.

mod accepted;
mod documented;
mod refused;
mod secrets;

use std::{collections::HashMap, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Database, Faults, Http, Settings};

/// 48 bytes without a pattern.
pub const SECRET: &str = "q2dFh0Zt9wVbL4sXyN7uKcR1mEoPjAgT5iHzU8vWDkQ3BnYf";

/// An environment and the files it names.
#[derive(Default, Clone)]
pub struct Surroundings {
    variables: HashMap<String, String>,
    files: HashMap<String, Vec<u8>>,
}

impl Surroundings {
    /// Only what has no default.
    pub fn least() -> Self {
        Self::default().set("DB_PASSWORD", "pw").set("JWT_SECRET", SECRET)
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), content.as_ref().into());
        self
    }

    pub fn look_up(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path.to_str().unwrap()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn settings(&self) -> Result<Settings, Faults> {
        Settings::from_env(|n| self.look_up(n), |p| self.read_file(p))
    }

    pub fn database(&self) -> Result<Database, Faults> {
        Database::from_env(|n| self.look_up(n), |p| self.read_file(p))
    }

    pub fn http(&self) -> Http {
        Http::from_env(|n| self.look_up(n), |p| self.read_file(p)).unwrap()
    }

    /// The one line that says what is wrong.
    #[track_caller]
    pub fn refusal(&self) -> String {
        let faults = self.settings().unwrap_err();
        assert_eq!(faults.0.len(), 1, "{faults}");
        faults.to_string()
    }
}

pub fn url(url: &str) -> Surroundings {
    Surroundings::least().set("DATABASE_URL", url)
}

pub fn ed25519() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

pub fn p256() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

pub fn certificate(key: &rcgen::KeyPair) -> String {
    rcgen::CertificateParams::new(vec!["db".into()]).unwrap().self_signed(key).unwrap().pem()
}

pub fn block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
