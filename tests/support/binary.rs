//! Commands that end by themselves: those of the binary, and scripts.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use super::{Environment, process::BINARY};

/// What a command of the binary left behind.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Finished {
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command of the binary with nothing but `environment`, and `input` on its standard input.
pub async fn run_with_input(environment: &Environment, words: &[&str], input: &str) -> Finished {
    let mut command = Command::new(BINARY);
    command.args(words).env_clear().envs(environment.variables());
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that does not read its input may close it first.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("the command ends").into()
    })
    .await
    .expect("no panic")
}

pub async fn run(environment: &Environment, words: &[&str]) -> Finished {
    run_with_input(environment, words, "").await
}

/// Runs a script with bash, strictly; `variables` are its environment beside PATH.
pub async fn bash(script: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().expect("bash starts").into()).await.expect("no panic")
}
