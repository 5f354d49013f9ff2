"""Reads the rounds of scripts/bench; prints the table of goals, writes latest.json and the plots.

usage: report.py ROUNDS.jsonl FOLDER
"""

import json
import os
import statistics
import sys
from collections import defaultdict

import goals
import plot


def main() -> None:
    rounds_file, folder = sys.argv[1:]
    about, rounds, failed = read(rounds_file)
    verdicts = goals.judge(rounds)
    rates = goals.summary(rounds)
    result = {"about": about, "goals": verdicts, "summary": rates, "failed": failed, "rounds": rounds}
    os.makedirs(folder, exist_ok=True)
    write(f"{folder}/latest.json", json.dumps(result, indent=1) + "\n")
    for name, picture in plot.pictures(about, verdicts, rounds).items():
        write(f"{folder}/{name}.svg", picture)
    print(table(about, verdicts, failed))


def read(path: str):
    """The machine, the values of each measure and variant in order of rounds, and the measures that failed."""
    about, rounds, failed = {}, defaultdict(lambda: defaultdict(list)), []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            if one["measure"] == "about":
                about = one["value"]
            elif one["variant"] == "failed":
                failed.append(one["measure"])
            else:
                rounds[one["measure"]][one["variant"]].append(one["value"])
    return about, rounds, failed


def write(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def table(about: dict, verdicts: list, failed: list) -> str:
    lines = [
        f"{about.get('cores')} cores ({about.get('cpu')}), Linux {about.get('kernel')}, {about.get('postgres')}; "
        f"{about.get('rounds')} rounds of {about.get('seconds')} s; revision {about.get('revision', '')[:12]}",
        "",
        "| what | goal | measured | min–max of the rounds | figures | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for one in verdicts:
        spread = "–".join(goals.show(edge, one["unit"]) for edge in one["range"])
        lines.append(
            f"| {one['what']} | {one['goal_text']} | **{goals.show(one['value'], one['unit'])}** | {spread} "
            f"| {one['figures']} | {one['verdict']} |"
        )
    lines += [f"| {name} | | could not be measured | | | **failed** |" for name in failed]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
