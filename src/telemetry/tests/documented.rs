use std::{collections::BTreeSet, fmt::Write as _, fs};

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logging-and-metrics.md");

fn between(page: &str, name: &str, source: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: printed from {source} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n\n{table}\n{end}{after}")
}

fn events() -> String {
    let mut table = "| Event | Level | Meaning |\n|---|---|---|\n".to_owned();
    for event in Event::ALL {
        writeln!(table, "| `{}` | {} | {} |", event.name(), event.level().name(), event.meaning()).unwrap();
    }
    table
}

// From the text that Prometheus gets, so that what is on the page is what is served.
fn metrics() -> String {
    let metrics = Metrics::new("1.0.0", SystemTime::UNIX_EPOCH, &log(LogFormat::Json).0);
    metrics.route("/livez").observe("GET", 200, Duration::ZERO);
    let text = metrics.encode();
    let mut table = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    let lines: Vec<&str> = text.lines().collect();
    for help in lines.iter().filter_map(|l| l.strip_prefix("# HELP ")) {
        let (name, meaning) = help.split_once(' ').unwrap();
        let kind = lines.iter().find_map(|l| l.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels: BTreeSet<String> = lines
            .iter()
            .filter_map(|l| l.split_once('{'))
            .filter(|(sample, _)| sample.strip_prefix(name).is_some_and(|rest| ["", "_bucket", suffix].contains(&rest)))
            .filter_map(|(_, rest)| Some(rest.split_once('}')?.0))
            .flat_map(|labels| labels.split(','))
            .filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0)))
            .filter(|label| label != "`le`")
            .collect();
        let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(table, "| `{name}{suffix}` | {kind} | {labels} | {} |", meaning.trim_end_matches('.')).unwrap();
    }
    table
}

#[test]
fn the_page_lists_the_events_and_metrics_as_they_are() {
    let page = fs::read_to_string(PAGE).unwrap();
    let wanted = between(&page, "events", "src/telemetry/event.rs", &events());
    let wanted = between(&wanted, "metrics", "src/telemetry/metrics.rs", &metrics());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(PAGE, &wanted).unwrap();
    } else {
        assert!(page == wanted, "run UPDATE_GOLDEN=1 cargo test the_page_lists to print the tables anew");
    }
}

#[test]
fn no_two_events_share_a_name() {
    let names: BTreeSet<_> = Event::ALL.iter().map(|e| e.name()).collect();
    assert_eq!(names.len(), Event::ALL.len());
}
