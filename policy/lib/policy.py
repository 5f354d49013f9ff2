"""What a site says (registries, remedies, exceptions), what a fault is, and how anything is taken out of what was read."""

import re

NAME = "[a-z0-9]+(-[a-z0-9]+)*"
REST = re.compile(rf"(?P<path>{NAME}(/{NAME}){{1,2}})(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?@sha256:[0-9a-f]{{64}}")
CHANNEL = re.compile("-(dev|beta|rc)$")
LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
HOST = re.compile(rf"{LABEL}(\.{LABEL})*(:[1-9][0-9]{{0,4}})?")
# What would begin another line, or write on a terminal, as Go, C and JSON write it.
ONE_LINE = {ord(sign): written for sign, written in {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": r"\u0000", "\x1b": r"\u001b", "\x85": r"\u0085"}.items()}
# Nothing is excused from being readable, or signed.
NEVER = ("input", "image-signed")
CALLED = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}


class Wrong(Exception):
    """What is judged has a type that it cannot have; says which."""


def called(value):
    return CALLED[type(value)]


def wrong(name, value, *kinds):
    return Wrong(f"{name} is {called(value)}, where {' or '.join(CALLED[kind] for kind in kinds)} belongs")


def take(holder, name, kind):
    """What a mapping has by a name; the empty thing of its kind where it has none."""
    value = holder.get(name)
    if value is None:
        return kind()
    if type(value) is not kind:
        raise wrong(name, value, kind)
    return value


def lines(path):
    """The lines of a table, without comments and empty ones."""
    with open(path, encoding="utf-8") as file:
        return [line for line in file.read().split("\n") if line and not line.startswith("#")]


class Site:
    """What is judged by."""

    def __init__(self, registries, rules, exceptions, exempt=(), configs=None):
        self.registries = {line for line in lines(registries) if HOST.fullmatch(line)}
        if not self.registries:
            raise ValueError(f"{registries} allows no registry: one HOST[:PORT] a line")
        self.remedies = dict(line.split("\t") for line in lines(rules))
        self.exceptions = {}
        for line in lines(exceptions) if exceptions else ():
            parts = line.split("\t")
            if len(parts) != 3 or not all(parts) or parts[1] not in self.remedies or parts[1] in NEVER:
                raise ValueError(f"{exceptions} has a line that is not OBJECT, RULE and REASON with tabs between them, or excuses what cannot be excused: {line}")
            self.exceptions[parts[0], parts[1]] = parts[2]
        self.exempt = frozenset(exempt)
        # By reference: the image's configuration; None where it was asked for and could not be had.
        self.configs = configs or {}

    def image_rules(self, image):
        """The rules that a reference breaks."""
        registry, slash, rest = image.partition("/")
        if not slash:
            registry, rest = "", image
        rules = [] if pinned(registry, rest) else ["image-pinned"]
        return rules if registry in self.registries else [*rules, "image-registry"]


def pinned(registry, rest):
    """Whether what stands behind the registry is named by the grammar, and by its digest."""
    parts = REST.fullmatch(rest)
    if not parts or (parts["tag"] or "").lower() == "latest" or len(f"{registry}/{parts['path']}") > 255:
        return False
    *folders, last = parts["path"].split("/")
    return not any(CHANNEL.search(name) for name in [*folders, CHANNEL.sub("", last)])


class Found:
    """What is found in one object: its faults, the images that may be asked for signatures, and what must be known of images first."""

    def __init__(self, site, name):
        self.site, self.name, self.lines = site, name, set()
        self.faults, self.places, self.wanted = [], [], []

    def add(self, rule, where, image=None, why="", unknown=False):
        place = where if image is None else f"{where} ({image})"
        fault = {"object": self.name, "where": where, "image": image, "rule": rule, "remedy": self.site.remedies[rule], "why": why}
        if unknown:
            fault["unknown"] = True
        fault["line"] = f"{self.name}, {place}: {rule}: {fault['remedy']}".translate(ONE_LINE)
        if image is None:
            del fault["image"]
        # What breaks a rule in two ways is told once.
        if fault["line"] not in self.lines:
            self.lines.add(fault["line"])
            self.faults.append(fault)

    def only(self, where, image, why):
        """Forgets everything else: what cannot be read cannot be judged."""
        for kept in (self.lines, self.faults, self.places, self.wanted):
            kept.clear()
        self.add("input", where, image, why)

    def image(self, where, image):
        """Judges a reference."""
        rules = self.site.image_rules(image)
        for rule in rules:
            self.add(rule, where, image)
        if not rules:
            self.places.append({"object": self.name, "where": where, "image": image})
