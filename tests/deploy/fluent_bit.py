"""Checks a configuration of Fluent Bit without Fluent Bit: fluent_bit.py [--examples] FILE.

Options and what they take are those of Fluent Bit 3.2, read from its sources and its manual. What must hold between them is looked at
as well: parsers exist, every new tag is wanted by an output, every queue has a bound. --examples takes the outputs that stand in
comments with the rest.
Prints a line for each fault, and fails when there is one.
"""

import re
import sys
from typing import Any

import yaml

TRUTH = r"true|false|on|off|yes|no"
SIZE = r"\d+[KMGkmg]?[Bb]?"
WHOLE = r"\d+"
PATH = r"/.*"
TEXT = r"(?s).+"
STORAGE = "memory|filesystem"

SERVICE = {
    "flush": r"\d+(\.\d+)?", "grace": WHOLE, "daemon": TRUTH, "log_level": "off|error|warn|info|debug|trace", "log_file": PATH,
    "parsers_file": PATH, "plugins_file": PATH, "streams_file": PATH, "dns.mode": "UDP|TCP", "dns.resolver": "LEGACY|ASYNC",
    "dns.prefer_ipv4": TRUTH, "dns.prefer_ipv6": TRUTH, "http_server": TRUTH, "http_listen": TEXT, "http_port": WHOLE,
    "health_check": TRUTH, "hc_errors_count": WHOLE, "hc_retry_failure_count": WHOLE, "hc_period": WHOLE, "hot_reload": TRUTH,
    "hot_reload.ensure_thread_safety": TRUTH, "coro_stack_size": WHOLE, "scheduler.cap": WHOLE, "scheduler.base": WHOLE,
    "json.convert_nan_to_null": TRUTH, "sp.convert_from_str_to_num": TRUTH, "storage.path": PATH, "storage.sync": "normal|full",
    "storage.metrics": TRUTH, "storage.checksum": TRUTH, "storage.backlog.mem_limit": SIZE, "storage.max_chunks_up": WHOLE,
    "storage.delete_irrecoverable_chunks": TRUTH, "storage.trim_files": TRUTH,
}
PARSER = {
    "name": TEXT, "format": "json|regex|ltsv|logfmt", "regex": TEXT, "skip_empty_values": TRUTH, "time_key": TEXT, "time_format": TEXT,
    "time_keep": TRUTH, "time_strict": TRUTH, "time_offset": r"[+-]\d{4}", "time_system_timezone": TRUTH, "types": TEXT,
}
EVERY = {"alias": TEXT, "log_level": SERVICE["log_level"], "log_suppress_interval": WHOLE}
MATCH = EVERY | {"match": TEXT, "match_regex": TEXT}
TLS = {f"tls{name}": kind for name, kind in {
    "": TRUTH, ".verify": TRUTH, ".verify_hostname": TRUTH, ".debug": "[0-4]", ".vhost": TEXT, ".ca_file": PATH, ".ca_path": PATH,
    ".crt_file": PATH, ".key_file": PATH, ".key_passwd": TEXT,
}.items()}
OUTPUT = MATCH | {"retry_limit": r"\d+|no_limits|no_retries|false", "workers": WHOLE, "storage.total_limit_size": SIZE}
REMOTE = OUTPUT | TLS | {"host": TEXT, "port": WHOLE, "net.keepalive": TRUTH, "net.connect_timeout": WHOLE}
KNOWN = {
    "inputs": {
        "forward": EVERY | TLS | {
            "tag": TEXT, "tag_prefix": TEXT, "listen": TEXT, "port": WHOLE, "unix_path": PATH, "unix_perm": WHOLE, "shared_key": TEXT,
            "empty_shared_key": TRUTH, "self_hostname": TEXT, "security.users": TEXT, "buffer_chunk_size": SIZE, "buffer_max_size": SIZE,
            "mem_buf_limit": SIZE, "storage.type": STORAGE, "storage.pause_on_chunks_overlimit": TRUTH, "threaded": TRUTH,
        },
    },
    "filters": {
        "parser": MATCH | {"key_name": TEXT, "parser": TEXT, "preserve_key": TRUTH, "reserve_data": TRUTH},
        "record_modifier": MATCH | {"record": TEXT, "remove_key": TEXT, "allowlist_key": TEXT, "uuid_key": TEXT},
        "rewrite_tag": MATCH | {
            "rule": r"\$\S+ \S+ \S+ (true|false)", "emitter_name": TEXT, "emitter_storage.type": STORAGE, "emitter_mem_buf_limit": SIZE,
        },
    },
    "outputs": {
        "file": OUTPUT | {
            "path": PATH, "file": r"[^/]+", "format": "out_file|plain|csv|ltsv|template", "delimiter": TEXT, "label_delimiter": TEXT,
            "template": TEXT, "csv_column_names": TRUTH, "mkdir": TRUTH,
        },
        "http": REMOTE | {
            "uri": PATH, "format": "msgpack|json|json_stream|json_lines|gelf", "json_date_key": TEXT, "json_date_format": TEXT,
            "header": r"\S+ .+", "header_tag": TEXT, "http_user": TEXT, "http_passwd": TEXT, "compress": "gzip|snappy|zstd",
            "allow_duplicated_headers": TRUTH, "log_response_payload": TRUTH, "proxy": TEXT, "body_key": TEXT, "headers_key": TEXT,
        },
        "forward": REMOTE | {
            "time_as_integer": TRUTH, "shared_key": TEXT, "empty_shared_key": TRUTH, "self_hostname": TEXT, "username": TEXT,
            "password": TEXT, "unix_path": PATH, "upstream": TEXT, "tag": TEXT, "send_options": TRUTH, "require_ack_response": TRUTH,
            "compress": "gzip", "retain_metadata_in_forward_mode": TRUTH, "fluentd_compat": TRUTH,
        },
        "syslog": REMOTE | {
            "mode": "udp|tcp|tls", "syslog_format": "rfc3164|rfc5424", "syslog_maxsize": WHOLE, "allow_longer_sd_id": TRUTH,
        } | {f"syslog_{name}_{kind}": TEXT for name in ("severity", "facility", "hostname", "appname", "procid", "msgid")
             for kind in ("key", "preset")} | {"syslog_sd_key": TEXT, "syslog_message_key": TEXT},
    },
}
NEEDED = {
    "forward": [], "parser": ["key_name", "parser"], "record_modifier": [], "rewrite_tag": ["rule"], "file": ["path", "file"],
    "http": ["host", "uri"], "syslog": ["host", "syslog_message_key"],
}

faults: list[str] = []


def values(value: Any) -> list[str]:
    """As Fluent Bit reads them: words; a list stands for one option given several times."""
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in (value if isinstance(value, list) else [value])]


def options(where: str, section: dict[str, Any], known: dict[str, str]) -> None:
    for name, value in section.items():
        if name not in known:
            faults.append(f"{where}: no option is called {name}")
            continue
        faults.extend(f"{where}: {name} takes no '{one}'" for one in values(value) if not re.fullmatch(known[name], one))


def plugin(kind: str, section: dict[str, Any]) -> None:
    name = section.get("name")
    if name not in KNOWN[kind]:
        faults.append(f"{kind}: nothing is called {name}")
        return
    where = f"{kind}: {name}"
    options(where, {key: value for key, value in section.items() if key != "name"}, KNOWN[kind][name])
    faults.extend(f"{where}: {key} is missing" for key in NEEDED[name] if key not in section)
    if kind != "inputs" and not {"match", "match_regex"} & set(section):
        faults.append(f"{where}: it matches nothing, match is missing")
    try:
        re.compile(section.get("match_regex", ""))
    except re.error as error:
        faults.append(f"{where}: match_regex: {error}")


def meet(configuration: dict[str, Any]) -> None:
    """What holds between sections."""
    pipeline = configuration["pipeline"]
    parsers = {parser.get("name") for parser in configuration.get("parsers", [])}
    on_disk = [section for section in pipeline["inputs"] if section.get("storage.type") == "filesystem"]
    if on_disk and "storage.path" not in configuration["service"]:
        faults.append("service: storage.type is filesystem, and there is no storage.path")
    for section in pipeline["filters"]:
        faults.extend(f"parser: there is no parser {name}" for name in values(section.get("parser", [])) if name not in parsers)
        for rule in values(section.get("rule", [])):
            tag = (rule.split(" ") + ["", ""])[2]
            if not any(output.get("match") in (tag, "*") for output in pipeline["outputs"]):
                faults.append(f"rewrite_tag: no output wants {tag}")
    for section in pipeline["outputs"]:
        if on_disk and "storage.total_limit_size" not in section:
            faults.append(f"outputs: {section.get('name')}: its queue has no bound, storage.total_limit_size is missing")


def main() -> None:
    words = sys.argv[1:]
    examples = "--examples" in words
    with open(words[-1], encoding="utf-8") as file:
        text = file.read()
    if examples:
        text, count = re.subn(r"(?m)^    # (- |  )", r"    \1", text)
        if not count:
            faults.append("there are no examples")
    configuration = yaml.safe_load(text)
    faults.extend(f"no section is called {name}" for name in set(configuration) - {"service", "parsers", "pipeline"})
    options("service", configuration["service"], SERVICE)
    for parser in configuration.get("parsers", []):
        options("parsers", parser, PARSER)
    for kind, sections in configuration["pipeline"].items():
        if kind not in KNOWN:
            faults.append(f"pipeline: nothing is called {kind}")
            continue
        for section in sections:
            plugin(kind, section)
    meet(configuration)
    print(*faults, sep="\n", end="\n" if faults else "")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
