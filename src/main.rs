//! The command line: one match over the commands.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use tokio::signal::unix::{SignalKind, signal};

use mini_api::{
    auth::password::Cost,
    config::{self, LogFormat, Settings},
    http,
    operator::{self, Action},
    service::{Fatal, Service},
    store::Store,
    telemetry::{Event, Log},
    user::NewPassword,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: mini-api [COMMAND]

  serve                         serve the API (the default)
  migrate                       bring the database's schema up to date
  healthcheck                   exit 0 when the service on LISTEN_ADDR is healthy
  openapi                       print the API's description
  user show EMAIL               print a user (--json for programs)
  user disable | enable EMAIL   forbid or allow login and tokens
  user revoke EMAIL             end all tokens issued until now
  user set-password EMAIL       read a new password from standard input; ends all tokens
  version                       print the version and the commit it was built from

Settings come from the environment: see docs/configuration.md.
";

/// How long the last lines of the log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Exit codes of sysexits.h, and the shell's for signals.
mod exit {
    pub const USAGE: u8 = 64;
    pub const DATA: u8 = 65;
    pub const NO_USER: u8 = 67;
    pub const UNAVAILABLE: u8 = 69;
    pub const OS: u8 = 71;
    pub const IO: u8 = 74;
    pub const CONFIG: u8 = 78;
    pub const INTERRUPTED: u8 = 130;
    pub const TERMINATED: u8 = 143;
}

/// An exit code and the line that explains it; empty when the log has said it already.
struct Failure(u8, String);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] | ["serve"] => serve(),
        ["migrate"] => migrate(),
        ["healthcheck"] => healthcheck(),
        ["openapi"] => print(&http::description()),
        ["version" | "--version" | "-V"] => {
            print(&format!("mini-api {} ({})\n", mini_api::VERSION, mini_api::REVISION))
        }
        ["help" | "--help" | "-h"] => print(USAGE),
        ["user", rest @ ..] => user(rest),
        [unknown, ..] => Err(Failure(exit::USAGE, format!("no such command: {unknown}\n\n{USAGE}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, why)) => {
            if !why.is_empty() {
                let _ = writeln!(std::io::stderr(), "mini-api: {}", why.trim_end());
            }
            ExitCode::from(code)
        }
    }
}

fn serve() -> Result<(), Failure> {
    let settings = Settings::from_env(config::environment, config::read_file).map_err(|f| faults(&f))?;
    let log = Log::stdout(settings.log_format);
    log.service(Event::Starting, &[("version", mini_api::VERSION.into()), ("revision", mini_api::REVISION.into())]);
    for warning in &settings.warnings {
        log.service(Event::SettingWarning, &[("message", warning.into())]);
    }
    let served = runtime()?.block_on(async { Service::listen(settings, Cost::OWASP, log.clone()).await?.run().await });
    if let Err(error) = &served {
        log.service(Event::Failed, &[("error", (&error.to_string()).into())]);
    }
    log.flush(LAST_LINES);
    served.map_err(|error| Failure(fatal(&error).0, String::new()))
}

fn migrate() -> Result<(), Failure> {
    let database = config::Database::from_env(config::environment, config::read_file).map_err(|f| faults(&f))?;
    let migrated = runtime()?.block_on(unless_told_to_stop(async {
        let store = Store::new(&database).map_err(Fatal::Settings)?;
        store.migrate().await.map_err(Fatal::from)
    }))?;
    let migrated = migrated.map_err(|e| fatal(&e))?;
    match migrated.applied.as_slice() {
        [] => print("the schema is up to date\n"),
        applied => print(&format!("applied {}\n", applied.join(", "))),
    }
}

fn healthcheck() -> Result<(), Failure> {
    let http = config::Http::from_env(config::environment, config::read_file).map_err(|f| faults(&f))?;
    runtime()?
        .block_on(http::healthcheck::check(http.listen, http.tls.is_some()))
        .map_err(|why| Failure(exit::UNAVAILABLE, why))
}

fn user(words: &[&str]) -> Result<(), Failure> {
    let usage = |why: &str| Failure(exit::USAGE, format!("{why}\n\n{USAGE}"));
    let (words, json): (Vec<&str>, bool) =
        (words.iter().copied().filter(|w| *w != "--json").collect(), words.contains(&"--json"));
    let &[verb, address] = words.as_slice() else {
        return Err(usage("user takes one command and one e-mail address"));
    };
    let action = match verb {
        "show" => Action::Show,
        "disable" => Action::Disable,
        "enable" => Action::Enable,
        "revoke" => Action::Revoke,
        "set-password" => Action::SetPassword(new_password()?),
        other => return Err(usage(&format!("no such command: user {other}"))),
    };
    let database = config::Database::from_env(config::environment, config::read_file).map_err(|f| faults(&f))?;
    // What was done to whom is for the record as well as for the eye.
    let log = Log::to(std::io::stderr(), LogFormat::Json, SystemTime::now);
    let shown = runtime()?.block_on(unless_told_to_stop(operator::act(&database, address, action, &log)))?.map_err(
        |refused| match refused {
            operator::Refused::Address(why) => Failure(exit::USAGE, format!("{address}: {why}")),
            operator::Refused::NoSuchUser => Failure(exit::NO_USER, format!("no user has the address {address}")),
            operator::Refused::Fatal(error) => fatal(&error),
        },
    )?;
    print(&if json { shown.json() } else { shown.table() })
}

// From standard input, because arguments are seen by everybody on the machine.
fn new_password() -> Result<NewPassword, Failure> {
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "New password, then Enter (it is shown while you type): ");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|e| Failure(exit::IO, e.to_string()))?;
        return parse_password(&line);
    }
    let mut text = String::new();
    // A password has at most 256 characters; more than that need not be read to be refused.
    std::io::stdin().take(4096).read_to_string(&mut text).map_err(|e| Failure(exit::IO, e.to_string()))?;
    parse_password(&text)
}

fn parse_password(line: &str) -> Result<NewPassword, Failure> {
    let password = line.strip_suffix('\n').unwrap_or(line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    NewPassword::parse(password).map_err(|invalid| Failure(exit::DATA, invalid.0.to_owned()))
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failure(exit::IO, e.to_string()))
}

// Half of the cores, at least one: the other half is for what requests wait for, the hashes and often the database. More
// threads wake and rob each other, and in a flood of logins their slowest answers take ten times as long
// (bench/README.md).
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2))
        .enable_all()
        .build()
        .map_err(|e| Failure(exit::OS, e.to_string()))
}

// As process 1 of a container a command hears no signal that it does not ask for. What it leaves undone, PostgreSQL rolls
// back.
async fn unless_told_to_stop<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let listen = |kind| signal(kind).map_err(|e| Failure(exit::OS, e.to_string()));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        done = work => Ok(done),
        _ = terminate.recv() => Err(Failure(exit::TERMINATED, "told to stop before it was done".into())),
        _ = interrupt.recv() => Err(Failure(exit::INTERRUPTED, "interrupted before it was done".into())),
    }
}

fn faults(faults: &config::Faults) -> Failure {
    Failure(exit::CONFIG, faults.to_string())
}

fn fatal(error: &Fatal) -> Failure {
    let code = match error {
        Fatal::Settings(_) => exit::CONFIG,
        Fatal::Unavailable(_) => exit::UNAVAILABLE,
        Fatal::Data(_) => exit::DATA,
        Fatal::System(_) => exit::OS,
    };
    Failure(code, error.to_string())
}
