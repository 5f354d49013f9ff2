#!/usr/bin/env python3
"""near_misses COUNT SEED: random references that are right or nearly right, judged by rules written a second time.

Prints records "VERDICT NUL REFERENCE NUL"; the caller compares the verdicts with the parser's.
"""

import random
import sys

REGISTRIES = ("registry.intra", "registry.intra:5000", "ghcr.io")
LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
CHANNELS = ("dev", "beta", "rc")
TAG = LOWER + LOWER.upper() + "_.-"
SPICE = list("@:/-_. \t\n*[]()${}%\\'\"+=~éЖ") + ["//", "--", "latest", ":latest", "@sha256:", "sha256", "A", "0", "docker.io/", "http://"]


def word(dice):
    return "-".join("".join(dice.choices(LOWER, k=dice.randint(1, 6))) for _ in range(dice.randint(1, 3)))


def part(dice):
    return word(dice) + ("-" + dice.choice(CHANNELS) if dice.random() < 0.1 else "")


def right(dice):
    path = "/".join([*(word(dice) for _ in range(dice.randint(1, 2))), part(dice)])
    if dice.random() < 0.1:
        path = "/".join(part(dice) for _ in range(dice.randint(2, 3)))
    tag = ":" + dice.choice(LOWER) + "".join(dice.choices(TAG, k=dice.randint(0, 8))) if dice.random() < 0.5 else ""
    return f"{dice.choice(REGISTRIES)}/{path}{tag}@sha256:{''.join(dice.choices('0123456789abcdef', k=64))}"


def bent(dice, text):
    for _ in range(dice.randint(0, 2)):
        at = dice.randint(0, len(text))
        match dice.randint(0, 4):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + dice.choice(SPICE) + text[at:]
            case 2:
                text = text[:at] + text[at : at + 1].upper() + text[at + 1 :]
            case 3:
                text = text[:at] + dice.choice(SPICE) + text[at + 1 :]
            case 4:
                other = dice.randint(0, len(text))
                text = text[: min(at, other)] + text[max(at, other) :]
    return text


def is_word(text):
    return text != "" and all(part != "" and all(sign in LOWER for sign in part) for part in text.split("-"))


def accepted(text):
    """The grammar, from behind and sign by sign; no regular expression."""
    name, sign, digest = text.rpartition("@sha256:")
    if not sign or len(digest) != 64 or any(digit not in "0123456789abcdef" for digit in digest):
        return False
    head, slash, last = name.rpartition("/")
    service, colon, tag = last.partition(":")
    if colon and (not 1 <= len(tag) <= 128 or any(sign not in TAG for sign in tag) or tag[0] in ".-" or tag.lower() == "latest"):
        return False
    registry, *between = head.split("/")
    if not slash or len(f"{head}/{service}") > 255 or registry not in REGISTRIES:
        return False
    *rest, last = service.split("-")
    if last in CHANNELS and rest and rest[-1] in CHANNELS and len(rest) > 1:
        return False
    if any("-" in name and name.split("-")[-1] in CHANNELS for name in between):
        return False
    return len(between) in (1, 2) and all(is_word(part) for part in [*between, service])


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(seed)
    for _ in range(count):
        text = bent(dice, right(dice))
        sys.stdout.buffer.write(f"{'accept' if accepted(text) else 'refuse'}\0{text}\0".encode())


main()
