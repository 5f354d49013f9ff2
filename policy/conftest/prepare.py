"""prepare.py FOLDER: lays files down for conftest. Standard input has two parts for each, with a NUL behind every part: where it lies, and
where configurations of its images lie (or nothing). conftest's own reader takes the last of two keys and overlooks documents, so that
files are read by ../lib/read.py, as policy/admit reads them; Containerfiles get comments that tell their lines. Makes
    FOLDER/documents/N.json      the documents of a file, as a list behind a null; one that cannot be read has none
    FOLDER/containers/N.dockerfile
    FOLDER/data/names.json       by path: what the file is called
    FOLDER/data/images.json      by path: the configurations of images
Says on standard error why a file cannot be read. Exit code: 69 for YAML without PyYAML, 78 by bad configurations of images."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))

from read import LARGEST, NoReader, Unreadable, documents

CONTAINERFILE = re.compile(r"(container|docker)file(\..*)?|.*\.(container|docker)file", re.IGNORECASE)
INSTRUCTION = re.compile(
    rb"[ \t]*(add|arg|cmd|copy|entrypoint|env|expose|from|healthcheck|label|maintainer|onbuild|run|shell|stopsignal|user|volume|workdir)\s", re.IGNORECASE
)


def content(path):
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as fault:
        raise Unreadable(f"it cannot be read: {fault.strerror}") from None
    if len(data) > LARGEST:
        raise Unreadable("it is larger than 3 MiB")
    return data


def numbered(data):
    """A Containerfile in which a comment before each instruction tells its line. Within an instruction and a script it changes nothing."""
    lines = data.split(b"\n")
    if not any(line.strip() and not line.strip().startswith(b"#") for line in lines):
        raise Unreadable("it is empty")
    return b"\n".join(b"# judged: line %d\n%s" % (i, line) if INSTRUCTION.match(line) else line for i, line in enumerate(lines, 1))


def lay(folder, number, path):
    """Writes one file down; returns where it lies now."""
    try:
        data = content(path)
        if CONTAINERFILE.fullmatch(os.path.basename(path)):
            place, data = f"{folder}/containers/{number}.dockerfile", numbered(data)
        else:
            place, data = f"{folder}/documents/{number}.json", json.dumps([None, *documents(data)]).encode()
    except Unreadable as why:
        print(f"{path}: {why}", file=sys.stderr)
        place, data = f"{folder}/documents/{number}.json", b"[null]"
    with open(place, "wb") as file:
        file.write(data)
    return place


def known(path):
    """The configurations of images in a file, by their references."""
    try:
        read = documents(content(path))
    except Unreadable as why:
        sys.exit(bad(path, why))
    if len(read) != 1 or not isinstance(read[0], dict):
        sys.exit(bad(path, "it is no JSON object of images and their configurations"))
    return read[0]


def bad(path, why):
    print(f"{path}: {why}", file=sys.stderr)
    return 78


def main():
    folder = sys.argv[1]
    for name in ("documents", "containers", "data"):
        os.makedirs(f"{folder}/{name}")
    names, images = {}, {}
    parts = [os.fsdecode(part) for part in sys.stdin.buffer.read().split(b"\0")[:-1]]
    for number, (path, configs) in enumerate(zip(*[iter(parts)] * 2, strict=True)):
        place = lay(folder, number, path)
        names[place] = os.path.basename(path)
        if configs:
            images[place] = known(configs)
    for name, value in (("names", names), ("images", images)):
        with open(f"{folder}/data/{name}.json", "w", encoding="ascii") as file:
            json.dump({name: value}, file)


try:
    main()
except NoReader:
    sys.exit(69)
