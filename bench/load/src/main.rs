//! Load for `scripts/bench`: each command measures one thing and prints one JSON object.

mod arguments;
mod flood;
mod hashes;
mod http;
mod latency;
mod open_loop;
mod ready;
mod tokens;

use std::process::ExitCode;

use arguments::{Arguments, Fault};

// The service's allocator: a hash allocates 16 MiB each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: load COMMAND --NAME VALUE…

  scrypt  --threads N --seconds S --nice N [--ln N] [--r N] [--p N]
                                                   hashes a second of a bare loop; without more words as the service's
  phc     --password TEXT                          a hash as the service stores it
  tokens  --secret-file F --rows N --count N       HS256 tokens of users spread over the table, one a line
  flood   --address A --rows N --connections N --seconds S --password TEXT
                                                   logins a second, closed loop, each from its own account and network
  open    --address A --tokens F --rate N --connections N --seconds S
                                                   latency of /users/me at a fixed rate, from when each was due
  ready   --binary F --address A --times N         milliseconds from exec to the first 200 of /readyz
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = Arguments::parse(words).and_then(|arguments| match command.as_str() {
        "scrypt" => hashes::measure(&arguments),
        "phc" => hashes::phc(&arguments),
        "tokens" => tokens::print(&arguments),
        "flood" => flood::run(&arguments),
        "open" => open_loop::run(&arguments),
        "ready" => ready::measure(&arguments),
        _ => Err(Fault(USAGE.into())),
    });
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(Fault(why)) => {
            eprintln!("load {command}: {why}");
            ExitCode::FAILURE
        }
    }
}
