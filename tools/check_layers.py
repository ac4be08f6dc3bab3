#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the shape of the tree: layers, include depth, file sizes, public headers.

Usage: check_layers.py [ROOT]. Prints one line per broken rule and fails if there is any.
Run by ctest and by `./run check`.
"""

import re
import sys
from pathlib import Path

# What each layer may include besides itself. core and paths do not know each other.
ALLOWED = {
    "include": set(),
    "base": {"include"},
    "wire": {"base", "include"},
    "core": {"wire", "base", "include"},
    "paths": {"wire", "base", "include"},
    "runtime": {"core", "paths", "wire", "base", "include"},
}
# Foreign headers that only one folder may include.
CONFINED = {
    "src/paths/cuda": ("cuda", "cooperative_groups"),
    "src/paths/ucx": ("ucp/", "ucs/", "uct/", "ucm/"),
}

MAX_INCLUDE_DEPTH = 7
MAX_FILE_LINES = 500
MAX_PUBLIC_HEADERS = 10
MAX_PUBLIC_LINES = 1000

SIZED_FOLDERS = ("include", "src", "tests", "bench", "examples", "tools", "cmake", "docs")
SIZED_SUFFIXES = {".h", ".inc", ".cc", ".py", ".cmake", ".md"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The layer of a file named relative to the root."""
    return path.parts[1] if path.parts[0] == "src" else "include"


def read_includes(root):
    """Maps each header and source of the library to its ('<' or '"', name) includes."""
    files = sorted(p for top in ("include", "src") for p in (root / top).rglob("*.*"))
    return {
        path.relative_to(root): INCLUDE.findall(path.read_text(encoding="utf-8"))
        for path in files
        if path.suffix in (".h", ".inc", ".cc")
    }


def resolve(name, includes):
    """The file of this tree that `name` means in an include, or None."""
    candidates = (Path("include") / name, Path("src") / name)
    return next((path for path in candidates if path in includes), None)


def own_includes(includes):
    """Maps each file to those of its includes that are files of this tree."""
    return {
        path: [target for _, name in names if (target := resolve(name, includes))]
        for path, names in includes.items()
    }


def check_arrows(includes, own):
    for path, targets in own.items():
        layer = layer_of(path)
        if layer not in ALLOWED:
            yield f"{path}: src/{layer} is no layer"
            continue
        for target in targets:
            if layer_of(target) not in ALLOWED[layer] | {layer}:
                yield f"{path}: {layer} must not include {target}"
    for path, names in includes.items():
        for mark, name in names:
            if mark == '"' and not resolve(name, includes):
                yield f'{path}: "{name}" is no header of this tree'
            for folder, prefixes in CONFINED.items():
                if name.startswith(prefixes) and not path.is_relative_to(folder):
                    yield f"{path}: only {folder} may include <{name}>"


def check_depth(own):
    """Walks every include chain: it must end, and soon."""
    longest = {}  # file to its longest chain, itself first

    def chain_from(path, above):
        if path in above:
            cycle = (*above[above.index(path) :], path)
            raise ValueError("include cycle: " + " -> ".join(map(str, cycle)))
        if path not in longest:
            below = [chain_from(target, (*above, path)) for target in own[path]]
            longest[path] = [path, *max(below, key=len, default=[])]
        return longest[path]

    try:
        for path in own:
            chain = chain_from(path, ())
            if len(chain) - 1 > MAX_INCLUDE_DEPTH:
                yield (f"{path}: include depth {len(chain) - 1}, over {MAX_INCLUDE_DEPTH}: "
                       + " -> ".join(target.name for target in chain[1:]))
    except ValueError as cycle:
        yield str(cycle)


def check_sizes(root):
    for folder in SIZED_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SIZED_SUFFIXES:
                lines = len(path.read_text(encoding="utf-8").splitlines())
                if lines > MAX_FILE_LINES:
                    yield f"{path.relative_to(root)}: {lines} lines, over {MAX_FILE_LINES}"


def check_public_headers(root, includes):
    headers = [path for path in includes if path.parts[0] == "include"]
    if len(headers) > MAX_PUBLIC_HEADERS:
        yield f"include: {len(headers)} public headers, over {MAX_PUBLIC_HEADERS}"
    lines = sum(len((root / p).read_text(encoding="utf-8").splitlines()) for p in headers)
    if lines >= MAX_PUBLIC_LINES:
        yield f"include: {lines} lines of public headers, not under {MAX_PUBLIC_LINES}"
    for path in headers:
        for mark, name in includes[path]:
            if mark == "<" and not re.fullmatch(r"[a-z_]+", name):
                yield f"{path}: <{name}> is not of the standard library"


def problems(root):
    """Every broken rule of the tree under `root`, as a sentence with the file's name."""
    includes = read_includes(root)
    if not includes:
        yield f"{root}: no sources found"
    own = own_includes(includes)
    yield from check_arrows(includes, own)
    yield from check_depth(own)
    yield from check_sizes(root)
    yield from check_public_headers(root, includes)


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    found = list(problems(root.resolve()))
    for problem in found:
        print(problem)
    print("layers: " + (f"{len(found)} broken rules" if found else "all rules kept"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
