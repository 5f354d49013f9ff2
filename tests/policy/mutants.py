#!/usr/bin/env python3
"""mutants LIB CORPUS REGISTRIES FILE…: takes every clause of policy/admit's judge away, one at a time, and judges the corpus without it.

A clause is an `if`, one side of an `and` or `or`, one condition of a comprehension, or one element of a list, set or mapping that is
written out. Prints "killed FILE:LINE CLAUSE: CASE" for the first case that is judged otherwise than the corpus says, and "SURVIVED
FILE:LINE CLAUSE" where there is none. A clause behind which a comment says `# guard: …` is left out: no case shows what it is for.
"""

import ast
import copy
import json
import os
import sys
import tempfile
import types

import yaml

# What was read before, by what stood there.
READ = {}
MODULES = ("policy", "read", "lists", "kubernetes", "compose", "judge")
GUARD = "# guard:"


def load(sources):
    """The judge made of sources; nothing of it is run."""
    made = {}
    for name in MODULES:
        tree = ast.parse(sources[name]) if isinstance(sources[name], str) else copy.deepcopy(sources[name])
        tree.body = [part for part in tree.body if not (isinstance(part, (ast.Expr, ast.Try)) and "main()" in ast.unparse(part))]
        module = types.ModuleType(name)
        module.__file__ = os.path.join(sys.argv[1], f"{name}.py")
        sys.modules[name] = module
        exec(compile(ast.fix_missing_locations(tree), module.__file__, "exec"), module.__dict__)
        made[name] = module
    return made


def cases(corpus, folder):
    """What policy/admit is asked: verdict, rules, file, file before, and configurations of images."""
    for line in open(os.path.join(corpus, "cases.tsv"), encoding="utf-8"):
        if line.startswith("#"):
            continue
        _, file, rules, how, excuse, _ = line.rstrip("\n").split("\t")
        if not file.endswith(".yaml") or "admit:" in excuse:
            continue
        old, path = "", os.path.join(corpus, file)
        if how == "update":
            old = os.path.join(corpus, "old", os.path.basename(file))
        elif how == "ephemeral":
            with open(path, encoding="utf-8") as read:
                pod = yaml.safe_load(read)
            del pod["spec"]["ephemeralContainers"]
            old = os.path.join(folder, os.path.basename(file))
            with open(old, "w", encoding="utf-8") as written:
                json.dump(pod, written)
        images = path.replace(".compose.yaml", ".images.json")
        yield file, rules, path, old, json.load(open(images, encoding="utf-8")) if images != path and os.path.exists(images) else {}


def remember(modules):
    """Files that are read as ever need not be read again."""
    read = modules["read"]

    def documents(data, *more):
        if (data, *more) not in READ:
            try:
                READ[(data, *more)] = read.__dict__["documents"](data, *more), None
            except read.Unreadable as why:
                READ[(data, *more)] = None, str(why)
        made, why = READ[(data, *more)]
        if why:
            raise read.Unreadable(why)
        return made

    modules["judge"].documents = documents


def different(modules, asked, lines):
    """The first case of which something else is said than the corpus says, or in other words than before."""
    root = os.path.dirname(sys.argv[1])
    for file, rules, path, old, images in asked:
        try:
            site = modules["policy"].Site(sys.argv[3], f"{root}/rules.tsv", f"{root}/exceptions.tsv", ["kube-system"], images)
            told = modules["judge"].tell(file, path, old, site)
            said = ",".join(sorted({fault["rule"] for fault in told["faults"]})) or "-"
            words = {fault["line"] for fault in told["faults"]}
        except Exception as fault:
            said = f"{type(fault).__name__}: {fault}"
        if said != rules:
            return f"{file} ({said})"
        if lines.setdefault(file, words) != words:
            return f"{file} (in other words)"
    return None


def clauses(tree):
    """Each clause with what takes it away: (node, words, a function of the copied node that changes it)."""
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.If):
            yield number, node, f"if {ast.unparse(node.test)}", lambda made: setattr(made, "test", ast.Constant(False))
        elif isinstance(node, ast.IfExp):
            yield number, node, f"if {ast.unparse(node.test)} else", lambda made: setattr(made, "test", ast.Constant(False))
        elif isinstance(node, ast.BoolOp):
            for at, value in enumerate(node.values):
                yield number, value, ast.unparse(value), lambda made, at=at: made.values.pop(at)
        elif isinstance(node, ast.comprehension):
            for at, value in enumerate(node.ifs):
                yield number, value, f"for … if {ast.unparse(value)}", lambda made, at=at: made.ifs.pop(at)
        elif isinstance(node, (ast.List, ast.Set, ast.Tuple)) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and len(node.elts) > 1:
            if isinstance(node, ast.Tuple) and not all(isinstance(part, ast.Constant) for part in node.elts):
                continue
            for at, value in enumerate(node.elts):
                yield number, value, ast.unparse(value), lambda made, at=at: made.elts.pop(at)
        elif isinstance(node, ast.Dict):
            for at, value in enumerate(node.keys):
                if value:
                    yield number, value, f"{ast.unparse(value)}: …", lambda made, at=at: (made.keys.pop(at), made.values.pop(at))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split" and isinstance(node.func.value, ast.Constant):
            for word in node.func.value.value.split():
                rest = " ".join(other for other in node.func.value.value.split() if other != word)
                yield number, node, word, lambda made, rest=rest: setattr(made.func.value, "value", rest)


def main():
    lib, corpus, _, *files = sys.argv[1:]
    sources = {name: open(os.path.join(lib, f"{name}.py"), encoding="utf-8").read() for name in MODULES}
    with tempfile.TemporaryDirectory() as folder:
        asked = list(cases(corpus, folder))
        before = {}
        if found := different(load(sources), asked, before):
            sys.exit(f"nothing is taken away yet, and the corpus is judged otherwise: {found}")
        for name in files:
            lines, tree = sources[name].split("\n"), ast.parse(sources[name])
            for number, node, words, take_away in clauses(tree):
                if GUARD in lines[node.lineno - 1]:
                    continue
                made = copy.deepcopy(tree)
                take_away(list(ast.walk(made))[number])
                try:
                    modules = load({**sources, name: made})
                    if name != "read":
                        remember(modules)
                    found = different(modules, asked, before)
                except Exception as fault:
                    found = f"{type(fault).__name__}: {fault}"
                place = f"{name}.py:{node.lineno} {words}"
                print(f"killed {place}: {found}" if found else f"SURVIVED {place}", flush=True)
                # Those that kill are asked first: what is near often kills the next as well.
                if found:
                    asked.sort(key=lambda case: not found.startswith(case[0]))


main()
