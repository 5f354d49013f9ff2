"""Reads YAML and JSON as Kubernetes and Compose do, and refuses what two readers could understand in two ways."""

import json
import math
import re

try:
    import yaml
except ImportError:
    yaml = None

LARGEST = 3 * 1024 * 1024
DEEPEST = 100
# So many values may come of aliases and merges: a file of some lines can mean billions.
REPEATED = 100_000

WORDS = {"": None, ".inf": "a number without end", ".nan": "no number"}
for value, words in ((None, "~ null"), (True, "y yes true on"), (False, "n no false off")):
    for word in words.split():
        WORDS.update({word: value, word.capitalize(): value, word.upper(): value})
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*|0[0-7]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[bB][01]+)")
BROKEN = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
TYPES = {"str": str, "bool": bool, "int": int, "float": (int, float), "null": type(None), "map": dict, "seq": list}


class NoReader(Exception):
    """Python has no PyYAML, or none with libyaml: JSON alone can be read."""


class Unreadable(Exception):
    """Says in one sentence why something cannot be read."""


def number(text):
    """The number that a word means, or the word. A number without a fraction is a whole one, however it is written."""
    digits = text.replace("_", "")
    if WHOLE.fullmatch(digits):
        sign, body = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
        return int(sign + (f"0o{body}" if re.fullmatch("0[0-7]+", body) else body), 0)
    value = fraction(digits) if BROKEN.fullmatch(digits) else None
    return text if value is None else value


def fraction(text):
    """A number with a point or an exponent; None where it is beyond any."""
    value = float(text)
    if math.isinf(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


def meaning(event):
    """What a scalar means: only what stands without quotes and tags is more than text."""
    if event.tag in ("!", "tag:yaml.org,2002:str") or (event.tag is None and event.style):
        return event.value
    word = event.value
    value = WORDS[word] if word in WORDS else number(word) if word[0] in "+-.0123456789" else word
    tagged(event, value)
    return value


def tagged(event, value):
    """Refuses a tag that is none of YAML's own, or that says something else than the value."""
    if event.tag in (None, "!"):
        return
    wanted = TYPES.get(event.tag.removeprefix("tag:yaml.org,2002:"))
    if not wanted or not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise Unreadable(f"line {event.start_mark.line + 1} has the tag {event.tag}, which readers take in several ways")


class Document:
    """One document, made of the parser's events: nothing is built of what is too deep or too much."""

    def __init__(self, events):
        self.events, self.anchors, self.count, self.spare = events, {}, 0, REPEATED

    def repeat(self, size):
        self.count, self.spare = self.count + size, self.spare - size
        if self.spare < 0:
            raise Unreadable(f"its aliases make more than {REPEATED:,} values of it")

    def value(self, event, depth=0):
        kind = type(event)
        if kind is yaml.AliasEvent:
            if event.anchor not in self.anchors:
                raise Unreadable(f"line {event.start_mark.line + 1} repeats '{event.anchor}', which is not complete there")
            value, size = self.anchors[event.anchor]
            self.repeat(size)
            return value
        if depth > DEEPEST:
            raise Unreadable(f"line {event.start_mark.line + 1} is nested deeper than {DEEPEST}")
        before = self.count
        self.count += 1
        if kind is yaml.ScalarEvent:
            value = meaning(event)
        else:
            value = self.items(depth) if kind is yaml.SequenceStartEvent else self.entries(depth)
            tagged(event, value)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.count - before)
        return value

    def items(self, depth):
        values = []
        while type(event := next(self.events)) is not yaml.SequenceEndEvent:
            values.append(self.value(event, depth + 1))
        return values

    def entries(self, depth):
        own, merged = {}, None
        while type(event := next(self.events)) is not yaml.MappingEndEvent:
            key, line = self.key(event), event.start_mark.line + 1
            value = self.value(next(self.events), depth + 1)
            if key in own or (key == "<<" and merged is not None):
                raise Unreadable(f"line {line} has '{key}' a second time")
            if key == "<<":
                merged = self.merge(value, line)
                # What comes first wins in one reader, what comes last in another.
                if any(name in own for name in merged):
                    raise Unreadable(f"line {line} merges what stands before it: begin with '<<'")
            else:
                own[key] = value
        return {**(merged or {}), **own}

    def key(self, event):
        if type(event) is not yaml.ScalarEvent or (event.value == "<<" and (event.style or event.tag)):
            raise Unreadable(f"line {event.start_mark.line + 1} has a key that is no plain word")
        value = event.value if event.value == "<<" else meaning(event)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, (str, int)):
            raise Unreadable(f"line {event.start_mark.line + 1} has a key that is neither text nor a whole number")
        return str(value)

    def merge(self, value, line):
        merged = {}
        for part in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(part, dict):
                raise Unreadable(f"line {line} merges what has no keys")
            self.repeat(len(part))
            merged.update(part)
        return merged


def yaml_documents(text):
    if not hasattr(yaml, "CSafeLoader"):
        raise NoReader
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    try:
        return [Document(events).value(next(events)) for event in events if type(event) is yaml.DocumentStartEvent]
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        at = f"line {mark.line + 1}: " if mark else ""
        raise Unreadable(f"it is no YAML: {at}{getattr(fault, 'problem', None) or fault}") from None


def once(pairs):
    """A JSON object without two values of one name."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise Unreadable(f"it has '{next(name for name in names if names.count(name) > 1)}' a second time in one object")
    return made


def json_documents(text):
    def constant(word):
        raise Unreadable(f"{word} is no number")

    def broken(word):
        value = fraction(word)
        return constant(word) if value is None else value

    decoder, made, at = json.JSONDecoder(object_pairs_hook=once, parse_float=broken, parse_constant=constant), [], 0
    while (at := re.compile(r"[ \t\r\n]*").match(text, at).end()) < len(text):
        value, at = decoder.raw_decode(text, at)
        made.append(value)
    return made


def documents(data, largest=LARGEST):
    """All documents of a file that say anything; never none."""
    if largest and len(data) > largest:
        raise Unreadable("it is larger than 3 MiB")
    try:
        text = data.decode("utf-8-sig")
        made = None
        # What JSON is not may still be YAML.
        if text.lstrip().startswith("{"):
            try:
                made = json_documents(text)
            except json.JSONDecodeError:
                made = None
        made = [value for value in (yaml_documents(text) if made is None else made) if value is not None]
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except (ValueError, OverflowError):
        raise Unreadable("it has a number that is too long") from None
    if not made:
        raise Unreadable("it is empty")
    return made
