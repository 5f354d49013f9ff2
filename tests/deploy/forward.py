"""Stands in for Fluent Bit where there is none: forward.py --config FILE [--dry-run].

Takes lines as the engine's log driver sends them (forward protocol, one message a line, each acknowledged), and leads them through the
filters and outputs of the real configuration, which it reads; what it does not understand of that file it refuses.
"""

import argparse
import json
import os
import re
import signal
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import yaml

Record = dict[str, Any]
Take = Callable[[int], bytes]

# First byte of a MessagePack value -> how its number, or its length, is written.
NUMBERS = dict(zip(range(0xCA, 0xD4), "fdBHIQbhiq", strict=True))
LENGTHS = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xC7: "B", 0xC8: "H", 0xC9: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I",
           0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def refuse(sentence: str) -> NoReturn:
    sys.exit(f"forward: {sentence}")


def only(section: Record, known: set[str]) -> None:
    """Refuses options that would be passed over in silence."""
    unknown = set(section) - known - {"name", "match", "match_regex"}
    if unknown:
        refuse(f"{section['name']}: {', '.join(sorted(unknown))} is not understood here")


def unpack(take: Take) -> Any:  # noqa: PLR0911, one line a kind
    """Reads one MessagePack value; take(n) gives n bytes."""
    first = take(1)[0]
    if first < 0x80 or first >= 0xE0:
        return struct.unpack("b", bytes([first]))[0]
    if first < 0x90:
        return unpack_map(take, first & 0x0F)
    if first < 0xA0:
        return [unpack(take) for _ in range(first & 0x0F)]
    if first < 0xC0:
        return take(first & 0x1F).decode(errors="replace")
    if first in CONSTANTS:
        return CONSTANTS[first]
    if 0xD4 <= first <= 0xD8:
        return take(1 + (1 << (first - 0xD4)))
    if first in NUMBERS:
        return number(take, NUMBERS[first])
    length = number(take, LENGTHS[first])
    if first >= 0xDE:
        return unpack_map(take, length)
    if first >= 0xDC:
        return [unpack(take) for _ in range(length)]
    # A number says what kind of extension it is.
    return take(length + (first in (0xC7, 0xC8, 0xC9))).decode(errors="replace")


def unpack_map(take: Take, length: int) -> Record:
    return {unpack(take): unpack(take) for _ in range(length)}


def number(take: Take, letter: str) -> Any:
    return struct.unpack(f">{letter}", take(struct.calcsize(letter)))[0]


def wants(section: Record) -> Callable[[str], bool]:
    """Which tags go to a filter or an output."""
    if "match_regex" in section:
        pattern = re.compile(section["match_regex"])
        return lambda tag: bool(pattern.search(tag))
    pattern = re.compile(".*".join(map(re.escape, section["match"].split("*"))))
    return lambda tag: bool(pattern.fullmatch(tag))


class Parser:
    """A field that is JSON becomes its fields; one that is not stays what it is."""

    def __init__(self, section: Record, parsers: dict[str, Record]) -> None:
        only(section, {"key_name", "parser", "reserve_data", "preserve_key"})
        self.section, self.parser = section, parsers.get(section["parser"])
        if not self.parser or self.parser["format"] != "json" or not self.parser["time_keep"]:
            refuse(f"the parser {section['parser']} is missing, or not understood here")
        self.time = self.parser["time_format"].replace("%L", "%f")

    def run(self, tag: str, record: Record) -> tuple[str, Record]:
        key = self.section["key_name"]
        try:
            fields = json.loads(record[key])
        except (KeyError, TypeError, ValueError):
            return tag, record
        if not isinstance(fields, dict):
            return tag, record
        try:
            datetime.strptime(fields[self.parser["time_key"]], self.time)
        except (KeyError, TypeError, ValueError):
            print(f"forward: no time of the form {self.time} in {record[key]}", file=sys.stderr, flush=True)
        if self.section["reserve_data"]:
            fields |= {name: value for name, value in record.items() if name != key or self.section["preserve_key"]}
        return tag, fields


class RecordModifier:
    """Some fields go."""

    def __init__(self, section: Record, _: dict[str, Record]) -> None:
        only(section, {"remove_key"})
        self.gone = section["remove_key"] if isinstance(section["remove_key"], list) else [section["remove_key"]]

    def run(self, tag: str, record: Record) -> tuple[str, Record]:
        return tag, {name: value for name, value in record.items() if name not in self.gone}


class RewriteTag:
    """The first rule that matches gives another tag."""

    def __init__(self, section: Record, _: dict[str, Record]) -> None:
        only(section, {"rule", "emitter_name", "emitter_storage.type", "emitter_mem_buf_limit"})
        self.rules = []
        for rule in section["rule"]:
            key, pattern, tag, keep = rule.split(" ")
            if not re.fullmatch(r"\$\w+", key) or not re.fullmatch(r"[\w.-]+", tag) or keep != "false":
                refuse(f"the rule '{rule}' is not understood here")
            self.rules.append((key[1:], re.compile(pattern), tag))

    def run(self, tag: str, record: Record) -> tuple[str, Record]:
        return next((new for key, pattern, new in self.rules if pattern.search(str(record.get(key, "")))), tag), record


FILTERS = {"parser": Parser, "record_modifier": RecordModifier, "rewrite_tag": RewriteTag}


class Pipeline:
    """Filters and outputs, in the order of the configuration."""

    def __init__(self, configuration: Record) -> None:
        parsers = {parser["name"]: parser for parser in configuration["parsers"]}
        pipeline = configuration["pipeline"]
        for section in pipeline["filters"] + pipeline["outputs"]:
            if section["name"] not in {*FILTERS, "file"} or section.get("format", "plain") != "plain":
                refuse(f"{section['name']} is not understood here")
        self.filters = [(wants(section), FILTERS[section["name"]](section, parsers)) for section in pipeline["filters"]]
        self.outputs = []
        for section in pipeline["outputs"]:
            only(section, {"path", "file", "format", "storage.total_limit_size"})
            self.outputs.append((wants(section), os.path.join(section["path"], section["file"])))
        self.lock = threading.Lock()

    def lead(self, tag: str, record: Record) -> None:
        for wanted, step in self.filters:
            if not wanted(tag):
                continue
            new, record = step.run(tag, record)
            if new != tag:
                # It begins anew, as whatever Fluent Bit emits does.
                self.lead(new, record)
                return
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        with self.lock:
            for wanted, path in self.outputs:
                if wanted(tag):
                    # Opened anew each time, so that it may be moved away in between.
                    with open(path, "a", encoding="utf-8") as file:
                        file.write(f"{line}\n")


class Connection(socketserver.StreamRequestHandler):
    """The lines of one container."""

    def take(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def handle(self) -> None:
        try:
            while True:
                tag, _, record, options = unpack(self.take)
                self.server.pipeline.lead(tag, record)
                if chunk := (options or {}).get("chunk"):
                    self.wfile.write(b"\x81\xa3ack\xd9" + bytes([len(chunk)]) + chunk.encode())
        except (EOFError, ConnectionError):
            return


class Server(socketserver.ThreadingTCPServer):
    """A thread for each container."""

    allow_reuse_address = True
    daemon_threads = True
    pipeline: Pipeline


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-c", "--config", required=True)
    arguments.add_argument("-D", "--dry-run", action="store_true")
    words = arguments.parse_args()
    with open(words.config, encoding="utf-8") as file:
        configuration = yaml.safe_load(file)
    pipeline = Pipeline(configuration)
    (source,) = configuration["pipeline"]["inputs"]
    only(source, {"listen", "port", "buffer_chunk_size", "buffer_max_size", "storage.type"})
    if words.dry_run:
        print("configuration test is successful")
        return
    os.makedirs(configuration["service"]["storage.path"], exist_ok=True)
    # As process 1 it would not hear it otherwise.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Server((source["listen"], source["port"]), Connection) as server:
        server.pipeline = pipeline
        server.serve_forever()


if __name__ == "__main__":
    main()
