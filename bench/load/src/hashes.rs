//! The rival of a login: the same hash, in a loop, and nothing else.

use std::{
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use scrypt::Params;

use crate::arguments::{Arguments, Fault};

const SALT: &[u8; 16] = b"0123456789abcdef";

/// What the service computes.
const STRENGTH: (u8, u32, u32) = (14, 8, 5);

fn params((ln, r, p): (u8, u32, u32)) -> Result<Params, Fault> {
    Params::new(ln, r, p).map_err(|_| Fault("scrypt refuses its parameters".into()))
}

fn hash(password: &[u8], params: &Params) -> Result<[u8; 32], Fault> {
    let mut output = [0; 32];
    scrypt::scrypt(password, SALT, params, &mut output).map_err(|_| Fault("scrypt refuses the output".into()))?;
    Ok(output)
}

pub fn phc(arguments: &Arguments) -> Result<String, Fault> {
    let hash = hash(arguments.text("password")?.as_bytes(), &params(STRENGTH)?)?;
    let (ln, r, p) = STRENGTH;
    Ok(format!("$scrypt$ln={ln},r={r},p={p}${}${}", STANDARD_NO_PAD.encode(SALT), STANDARD_NO_PAD.encode(hash)))
}

// Of all threads together; what a busy machine distorts least.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.try_into().unwrap_or_default()
}

pub fn measure(arguments: &Arguments) -> Result<String, Fault> {
    let threads: usize = arguments.number("threads")?;
    let time = Duration::from_secs_f64(arguments.number("seconds")?);
    let nice: i32 = arguments.number("nice")?;
    let (ln, r, p) = STRENGTH;
    let params = params((arguments.number_or("ln", ln)?, arguments.number_or("r", r)?, arguments.number_or("p", p)?))?;
    let before = processor_time();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            thread::spawn(move || {
                // Of this thread alone, as the service's hash threads do.
                let _ = rustix::process::setpriority_process(None, nice);
                let start = Instant::now();
                let mut count = 0_u32;
                while start.elapsed() < time {
                    std::hint::black_box(hash(b"correct horse battery", &params)?);
                    count += 1;
                }
                // To the end of its own last hash: no fraction of one is lost.
                Ok::<_, Fault>((count, f64::from(count) / start.elapsed().as_secs_f64()))
            })
        })
        .collect();
    let (mut count, mut rate) = (0, 0.0);
    for worker in workers {
        let (own, pace) = worker.join().map_err(|_| Fault("a thread ended early".into()))??;
        count += own;
        rate += pace;
    }
    let processor_ms = processor_time().saturating_sub(before).as_secs_f64() * 1000.0 / f64::from(count.max(1));
    Ok(format!(r#"{{"rate":{rate:.4},"count":{count},"processor_ms":{processor_ms:.1}}}"#))
}
