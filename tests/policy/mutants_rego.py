#!/usr/bin/env python3
"""mutants_rego POLICY CORPUS REGISTRIES CONFTEST SURVIVORS FILE…: takes every clause of the Rego library away, one at a time, and
asks conftest about the corpus without it.

A clause is one definition of a rule that has several, one statement of a body, one element of a set, list or mapping that is written out,
or one condition of a comprehension. What does not compile without a part has no clause there. Prints as mutants.py does.
Every second clause is taken away, SEED says which, and none that SURVIVORS lists; with FULL each.
"""

import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

KINDS = {".compose.yaml": "compose", ".Containerfile": "containerfile", ".config.json": "image", ".yaml": "kubernetes"}
# Where a fault of a file shows first.
FIRST = {"compose": "compose", "mounts": "compose", "containerfile": "containerfile", "variables": "containerfile", "image": "image"}
BROKEN = re.compile(r"rego_(parse|compile|type|unsafe_var|recursion)_error|undefined ref|unsafe")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')


def balance(line):
    bare = STRING.sub("", line.split("#", 1)[0] if '"' not in line and "`" not in line else line)
    return sum(bare.count(sign) for sign in "([{") - sum(bare.count(sign) for sign in ")]}")


def chunks(lines):
    """The definitions at the top of a file: (first line, line behind the last, what is defined)."""
    start = None
    for at, line in enumerate([*lines, ""]):
        if start is None and line and not line.startswith(("#", "\t", "package", "import", "default", "}", ")", "]")):
            start = at
        elif start is not None and not line:
            yield start, at, re.match(r"\w+", lines[start])[0]
            start = None


def clauses(text):
    """Each clause: (number of its line, words, the text without it)."""
    lines = text.split("\n")
    found = list(chunks(lines))
    names = [name for _, _, name in found]
    for start, end, name in found:
        if names.count(name) > 1:
            yield start, lines[start], "\n".join(lines[:start] + lines[end:])
        for at in range(start, end):
            line = lines[at]
            if at > start and line.strip() and line.lstrip()[0] not in "}])":
                last, depth = at, balance(line)
                while depth > 0 and last + 1 < end:
                    last += 1
                    depth += balance(lines[last])
                if depth == 0:
                    yield at, line.strip(), "\n".join(lines[:at] + lines[last + 1 :])
            for cut in inner(line):
                made = line[: cut.start] + line[cut.stop :]
                yield at, f"{line.strip()} without {line[cut].strip(' ,;')}", "\n".join([*lines[:at], made, *lines[at + 1 :]])


def inner(line):
    """Parts of a line that can be taken out: elements that are texts, and conditions behind a bar."""
    for match in STRING.finditer(line):
        if line[match.end() : match.end() + 2] == ", ":
            yield slice(match.start(), match.end() + 2)
        elif line[match.start() - 2 : match.start()] == ", " and line[match.end() : match.end() + 1] in "]}":
            yield slice(match.start() - 2, match.end())
    bare = STRING.sub(lambda match: "_" * len(match[0]), line)
    for match in re.finditer(r"(?<=\| )[^|{}]+(?=\})", bare):
        at = match.start()
        parts = bare[at : match.end()].split("; ")
        for part in parts:
            if len(parts) > 1:
                last = at + len(part) == match.end()
                yield slice(at - 2, at + len(part)) if last else slice(at, at + len(part) + 2)
            else:
                yield slice(at - 2, at + len(part))
            at += len(part) + 2


class Corpus:
    """The corpus as conftest is asked, and what it says of it."""

    def __init__(self, policy, corpus, registries, conftest, folder):
        self.policy, self.conftest, self.folder, self.wanted, self.names = policy, conftest, folder, {}, {}
        files = {}
        for line in open(f"{corpus}/cases.tsv", encoding="utf-8"):
            if line.startswith("#"):
                continue
            _, file, rules, _, excuse, _ = line.rstrip("\n").split("\t")
            if "conftest:" not in excuse:
                kind = next(kind for end, kind in KINDS.items() if file.endswith(end))
                # Some of them first: they are asked sooner, and most faults show.
                part = "some" if len(self.wanted) % 4 == 0 else "others"
                files.setdefault(f"{kind}-{part}", []).append(file)
                self.wanted[file] = set(rules.split(",")) - {"-"}
        rows = lambda path: [line for line in open(path, encoding="utf-8").read().split("\n") if line and not line.startswith("#")]
        exceptions = [dict(zip(("object", "rule"), row.split("\t"))) for row in rows(f"{policy}/exceptions.tsv")]
        for kind, names in files.items():
            place = f"{folder}/{kind}"
            os.makedirs(place)
            images = {name: f"{corpus}/{name.removesuffix('.compose.yaml')}.images.json" for name in names}
            parts = [part for name in names for part in (f"{corpus}/{name}", images[name] if os.path.exists(images[name]) else "")]
            given = "".join(f"{part}\0" for part in parts).encode()
            subprocess.run(["python3", "-I", "-B", f"{policy}/conftest/prepare.py", place], input=given, stderr=subprocess.DEVNULL, check=True)
            with open(f"{place}/data/parameters.json", "w", encoding="utf-8") as file:
                json.dump({"parameters": {"registries": rows(registries), "exceptions": exceptions}}, file)
            for path, name in json.load(open(f"{place}/data/names.json", encoding="utf-8"))["names"].items():
                # Names of cases are unique without their folders too.
                self.names[path] = next(file for file in names if os.path.basename(file) == name)
        self.usual = {kind: self.said(kind, policy) for kind in files}
        for file, rules in self.wanted.items():
            said = {rule for faults in self.usual.values() for rule, _ in faults.get(file, ())}
            if said != rules:
                sys.exit(f"nothing is taken away yet, and the corpus is judged otherwise: {file} ({','.join(sorted(said))})")

    def said(self, kind, policy):
        """What conftest says of one kind of files: their faults, by file. None if the policy is none; a text if it fails."""
        made = {}
        for part, words in (("documents", []), ("containers", ["--parser", "dockerfile"])):
            place = f"{self.folder}/{kind}/{part}"
            if not os.listdir(place):
                continue
            run = subprocess.run(
                [self.conftest, "test", "--combine", "--output", "json", "--policy", f"{policy}/rego/lib", "--policy", f"{policy}/conftest",
                 "--data", f"{self.folder}/{kind}/data", *words, place], capture_output=True, text=True, check=False)
            try:
                answer = json.loads(run.stdout)
            except ValueError:
                return None if BROKEN.search(run.stderr) else run.stderr.strip().split("\n")[-1]
            for fault in answer[0].get("failures") or []:
                path = fault["metadata"]["path"]
                made.setdefault(self.names.get(path, path), set()).add((fault["metadata"]["rule"], fault["msg"]))
        return made

    def different(self, name, text):
        """The first case that is judged otherwise; None if there is none, False if this is no policy."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            for part in ("rego/lib", "conftest"):
                shutil.copytree(f"{self.policy}/{part}", f"{place}/{part}")
            with open(f"{place}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
            first = FIRST.get(os.path.basename(name).removesuffix(".rego"), "kubernetes")
            for kind in sorted(self.usual, key=lambda kind: (not kind.startswith(first), kind.endswith("others"))):
                said = self.said(kind, place)
                if said is None:
                    return False
                if not isinstance(said, dict):
                    return said
                for file in sorted(set(said) | set(self.usual[kind])):
                    if said.get(file, set()) != self.usual[kind].get(file, set()):
                        return f"{file} ({','.join(sorted({rule for rule, _ in said.get(file, ())})) or '-'})"
        return None


def main():
    policy, corpus, registries, conftest, survivors, *names = sys.argv[1:]
    with open(survivors, encoding="utf-8") as file:
        known = {tuple(line.split("\t")[:2]) for line in file if not line.startswith("#")}
    names = names or [os.path.relpath(path, policy) for path in sorted(glob.glob(f"{policy}/rego/lib/*.rego"))] + ["conftest/main.rego"]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = Corpus(policy, corpus, registries, conftest, folder)
        made, count, seed = [], 0, int(os.environ.get("SEED", "1")) % 2
        for name in names:
            text = open(f"{policy}/{name}", encoding="utf-8").read()
            for line, words, without in clauses(text):
                count += 1
                if os.environ.get("FULL") or (count % 2 == seed and (os.path.basename(name), words) not in known):
                    made.append((f"{os.path.basename(name)}:{line + 1} {words}", pool.submit(asked.different, name, without)))
        for place, verdict in made:
            found = verdict.result()
            if found is not False:
                print(f"killed {place}: {found}" if found else f"SURVIVED {place}", flush=True)


main()
