#!/usr/bin/env python3
"""near_misses SEED FOLDER: random references that are right or nearly right, as one list of objects that differ in nothing else.

Reads records "VERDICT NUL REFERENCE NUL" (tests/release/near_misses.py writes them; its verdicts are not used), bends some once more, and
writes FOLDER/list.yaml, a List of Deployments r0, r1, …, and FOLDER/references, each behind a NUL.
"""

import json
import random
import sys

ALIKE = {"a": "а", "e": "е", "o": "о", "i": "і", "c": "с", "p": "р", "x": "х", "-": "‐", ".": "․", "/": "∕", ":": "：", "@": "＠", "0": "O"}
SPACE = [" ", "\t", "\n", "\r", "\u00a0", "\u2003", "\u200b", "\ufeff", "\x7f", "\u2028"]
PROBE = {"tcpSocket": {"port": 8000}}


def swapped(dice, text):
    at = dice.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def parts_swapped(dice, text):
    sign = dice.choice("/:@-")
    parts = text.split(sign)
    one, other = dice.randrange(len(parts)), dice.randrange(len(parts))
    parts[one], parts[other] = parts[other], parts[one]
    return sign.join(parts)


def doubled(dice, text):
    sign = dice.choice("/:@-.")
    parts = text.split(sign)
    at = dice.randrange(len(parts))
    return sign.join([*parts[: at + 1], *parts[at:]])


def dropped(dice, text):
    sign = dice.choice("/:@-.")
    parts = text.split(sign)
    del parts[dice.randrange(len(parts))]
    return sign.join(parts)


def alike(dice, text):
    places = [at for at, letter in enumerate(text) if letter in ALIKE]
    at = dice.choice(places) if places else 0
    return text[:at] + ALIKE.get(text[at], "") + text[at + 1 :]


def spaced(dice, text):
    at = dice.choice([0, len(text), dice.randrange(len(text))])
    return text[:at] + dice.choice(SPACE) + text[at:]


def one_bit(dice, text):
    at = dice.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1 << dice.randrange(5)) + text[at + 1 :]


def twice(_, text):
    return text + text


def repeated(dice, text):
    return text + dice.choice(["\n", "@", "/", " ", ","]) + text


BENT = (swapped, parts_swapped, doubled, dropped, alike, spaced, one_bit, twice, repeated)


def sendable(text):
    """What an API server would take: XML's and YAML's own control signs reach no engine as they are."""
    return bool(text.strip()) and all(sign >= " " or sign in "\t\n\r" for sign in text)


def deployment(name, image):
    container = {"name": "api", "image": image, "livenessProbe": PROBE, "readinessProbe": PROBE}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"securityContext": {"runAsNonRoot": True, "runAsUser": 65532}, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def main():
    seed, folder = int(sys.argv[1]), sys.argv[2]
    dice = random.Random(seed)
    given = [text for text in sys.stdin.buffer.read().decode().split("\0")[1::2] if text]
    bent = [dice.choice(BENT)(dice, text) if dice.random() < 0.6 else text for text in given if len(text) > 1]
    references = [text for text in dict.fromkeys(bent) if sendable(text)]
    items = [deployment(f"r{number}", text) for number, text in enumerate(references)]
    with open(f"{folder}/list.yaml", "w", encoding="utf-8") as file:
        json.dump({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}, file)
    with open(f"{folder}/references", "wb") as file:
        file.write(b"".join(text.encode() + b"\0" for text in references))


main()
