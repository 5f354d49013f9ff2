//! From exec to ready.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    arguments::{Arguments, Fault},
    http::Client,
};

const LONGEST_START: Duration = Duration::from_secs(10);
/// Between attempts: short beside what is measured, long enough to leave the service its core.
const PAUSE: Duration = Duration::from_micros(200);

pub fn measure(arguments: &Arguments) -> Result<String, Fault> {
    let binary = arguments.text("binary")?;
    let address: SocketAddr = arguments.number("address")?;
    let times: usize = arguments.number("times")?;
    let mut all = Vec::new();
    for _ in 0..times {
        let begin = Instant::now();
        let service = Command::new(binary).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let took = wait(address, begin);
        stop(service)?;
        all.push(format!("{:.3}", took?.as_secs_f64() * 1e3));
    }
    Ok(format!(r#"{{"ms":[{}]}}"#, all.join(",")))
}

fn wait(address: SocketAddr, begin: Instant) -> Result<Duration, Fault> {
    while begin.elapsed() < LONGEST_START {
        if let Ok(mut client) = Client::connect(address)
            && matches!(client.exchange(b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n"), Ok(200))
        {
            return Ok(begin.elapsed());
        }
        thread::sleep(PAUSE);
    }
    Err(Fault(format!("the service was not ready within {} s", LONGEST_START.as_secs())))
}

fn stop(mut service: Child) -> Result<(), Fault> {
    let pid = i32::try_from(service.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    service.wait()?;
    Ok(())
}
