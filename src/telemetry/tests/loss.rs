use std::thread;

use super::*;

#[test]
fn flushing_waits_until_all_is_written() {
    let (log, tape) = log(LogFormat::Json);
    for n in 1..=50 {
        log.service(Event::Ready, &[("n", n.into())]);
        assert!(log.flush(PATIENCE));
        assert_eq!(tape.text().lines().count() as u64, n);
    }
}

#[test]
fn what_is_waiting_is_written_when_the_last_handle_goes() {
    let (log, tape) = log(LogFormat::Json);
    let clone = log.clone();
    drop(log);
    clone.service(Event::Stopped, &[]);
    drop(clone);
    assert!(tape.text().contains("service.stop"));
}

#[test]
fn lines_of_many_threads_arrive_whole_and_in_few_writes() {
    let (log, tape) = log(LogFormat::Json);
    thread::scope(|scope| {
        for worker in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..2500_u64 {
                    log.service(Event::Ready, &[("worker", worker.into()), ("n", n.into())]);
                }
            });
        }
    });
    assert!(log.flush(PATIENCE));
    let text = tape.text();
    assert_eq!(text.lines().count(), 10_000);
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let writes = tape.with(|s| s.writes);
    assert!(writes < 5000, "{writes} writes for 10,000 lines");
}

#[test]
fn a_blocked_sink_stops_nobody_and_the_lines_it_cost_are_counted_and_told() {
    let (log, tape) = log(LogFormat::Json);
    tape.with(|s| s.blocked = true);
    log.service(Event::Starting, &[]);
    tape.wait_until(|s| s.writes == 1);
    let filler = "x".repeat(1 << 20);
    for _ in 0..5 {
        log.service(Event::Ready, &[("filler", (&filler).into())]);
    }
    // Three of 1 MiB and their envelopes fit in 4 MiB; two do not.
    assert_eq!(log.dropped().get(), 2);
    assert!(!log.flush(Duration::ZERO), "a flush has a deadline");
    tape.with(|s| s.blocked = false);
    assert!(log.flush(PATIENCE));
    let text = tape.text();
    assert_eq!(text.matches("service.ready").count(), 3);
    assert!(
        text.ends_with("\"level\":\"warn\",\"event\":\"log.dropped\",\"lines\":2}\n"),
        "{}",
        &text[text.len() - 200..]
    );
}

#[test]
fn a_full_disk_costs_lines_but_neither_the_service_nor_the_lines_after_it() {
    let (log, tape) = log(LogFormat::Json);
    tape.with(|s| s.breaks_after = Some(10));
    log.service(Event::Starting, &[]);
    assert!(log.flush(PATIENCE));
    assert_eq!(log.dropped().get(), 1);
    log.service(Event::Ready, &[]);
    assert!(log.flush(PATIENCE));
    assert_eq!(log.dropped().get(), 2, "the line that tells of losses is none");
    tape.with(|s| s.breaks_after = None);
    log.service(Event::Listening, &[]);
    assert!(log.flush(PATIENCE));
    let text = tape.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0].len(), 10, "the rest of the broken line never comes");
    assert!(lines[1].contains("service.listening") && lines[2].contains("\"lines\":2"), "{text}");
}
