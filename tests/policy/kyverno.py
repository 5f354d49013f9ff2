"""kyverno.py POLICY CONTEXT CASES.tsv: asks kyverno's command about the Kubernetes objects of a table of cases, many at once, and prints for each
FILE, accept or reject, and the rules (environment: optionally MESSAGES). The command gives all up when it cannot load one file: those of which the
table says so are asked alone, and so are the files of any other load that fails, by halves."""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

from cases import UNREADABLE, objects, rows, tell, text_of

POLICY, CONTEXT, CASES = sys.argv[1:]


def apply(*files, more=()):
    """The results of one run by the mark of the object, or what the command said when it gave up."""
    words = ["kyverno", "apply", POLICY, "--context-file", CONTEXT, "--policy-report", "--output-format", "json", "--remove-color", *more]
    # It compiles the policy for every object, and most of its time would go by collecting what that leaves behind.
    environment = {"GOGC": "500", **os.environ}
    done = subprocess.run([*words, *(f"--resource={file}" for file in files)], capture_output=True, text=True, check=False, env=environment)
    report = [line for line in done.stdout.splitlines() if line.startswith('{"kind":"ClusterReport"')]
    if done.returncode not in (0, 1) or (done.returncode and not report):
        return {}, (done.stderr or done.stdout).strip() or f"kyverno ended with {done.returncode}"
    results = {}
    for one in json.loads(report[0])["results"] if report else []:
        results.setdefault(one["resources"][0].get("uid", ""), []).append(one)
    return results, ""


def together(files):
    """The refusals of many files, each with objects that are marked by its number."""
    results, gave_up = apply(*(file for _, file in files))
    if not gave_up:
        return {number: refusals(results.get(number, [])) for number, _ in files}
    if len(files) == 1:
        return {files[0][0]: [(False, gave_up)]}
    half = len(files) // 2
    return together(files[:half]) | together(files[half:])


def refusals(results):
    return [(one["result"] == "fail", one["message"]) for one in results if one["result"] in ("fail", "error")]


def alone(path):
    """What is said of a file as it lies there. That nothing in it was judged is a fault as well, as the command can say."""
    results, gave_up = apply(path, more=["--warn-no-pass", "--warn-exit-code=3"])
    return [(False, gave_up)] if gave_up else [refusal for some in results.values() for refusal in refusals(some)]


def main():
    cases, marked, lonely = list(rows(CASES)), [], {}
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as runs:
        for number, (_, path, _, _, exceptions) in enumerate(cases):
            try:
                things = [] if "kyverno:" in exceptions else [thing for thing, _ in objects(path)]
                for thing in things:
                    thing["metadata"] = {**(thing.get("metadata") or {}), "uid": str(number)}
            except UNREADABLE:
                things = []
            if not things:
                lonely[number] = runs.submit(alone, path)
                continue
            marked.append((str(number), os.path.join(folder, f"{number}.yaml")))
            with open(marked[-1][1], "w", encoding="utf-8") as file:
                file.write("\n---\n".join(map(text_of, things)))
        said, share = {}, -(-len(marked) // (os.cpu_count() or 1)) or 1
        for part in runs.map(together, (marked[begin : begin + share] for begin in range(0, len(marked), share))):
            said |= part
        for number, (name, *_) in enumerate(cases):
            tell(name, lonely[number].result() if number in lonely else said[str(number)])


main()
