"""The command line of judge.py and audit.py: the lists by which is judged. Ends with 78 and a sentence by a bad list."""

import argparse
import sys

from policy import Site
from read import Unreadable, documents


def options(*more):
    """Reads the command line; `more` are names of words that stand behind the options."""
    words = argparse.ArgumentParser()
    for name in ("registries", "rules"):
        words.add_argument(f"--{name}", required=True)
    words.add_argument("--exceptions")
    for name in ("images", "exempt"):
        words.add_argument(f"--{name}", action="append", default=[])
    for name in more:
        words.add_argument(name, nargs="+")
    return words.parse_args()


def bad(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(78)


def configurations(path):
    """What is known of images, by their references."""
    with open(path, "rb") as file:
        known = documents(file.read(), None)
    if len(known) != 1 or not isinstance(known[0], dict):
        raise ValueError(f"{path} is no JSON object of images and their configurations")
    return known[0]


def site(words):
    """What the lists say."""
    configs = {}
    try:
        for path in words.images:
            configs |= configurations(path)
        return Site(words.registries, words.rules, words.exceptions, words.exempt, configs)
    except OSError as fault:
        bad(f"{fault.filename} cannot be read: {fault.strerror}")
    except UnicodeDecodeError:
        bad("a list is not UTF-8")
    except Unreadable as fault:
        bad(f"{path}: {fault}")
    except ValueError as fault:
        bad(fault)
