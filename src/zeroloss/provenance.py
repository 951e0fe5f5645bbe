"""Which code a step runs: a fingerprint of exactly the functions it can reach, followed through imports.

``python -m zeroloss ...`` hides our code from Snakemake, and the fingerprint of whole modules would retrain
networks because an axis label moved. So this follows names: starting at one function or class, it collects the
top-level definitions of this package that its body mentions, theirs in turn, and hashes their syntax trees.
Comments, docstrings and formatting do not count; anything else does.

Limits: names reached only through ``getattr`` with a computed string or through an instance whose class is never
named are not seen. Third-party versions are recorded in each file (:func:`versions`), not fingerprinted.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = "zeroloss"
_RECORDED_PACKAGES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib")


@dataclass(frozen=True)
class _Module:
    """One parsed source file: top-level name -> statements that bind it, and statements run for their effect."""

    name: str
    bindings: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
    # id of a statement -> its text and what it mentions: reading them is what takes time, and many entries reach each
    read: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)


def fingerprint(*entries: Callable[..., Any] | type) -> str:
    """A hexadecimal digest of the code that the given functions or classes of this package can reach."""
    return _fingerprint(Path(__file__).parent, tuple(f"{entry.__module__}:{entry.__qualname__}" for entry in entries))


def digest(value: Any) -> str:
    """A hexadecimal digest of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that can change a result."""
    import importlib
    import platform
    from importlib import metadata

    # imported by its name: the number of a release is recorded, but is no code that a step reaches; and it is the one
    # of this source, whether the package is installed or not
    found = {"python": platform.python_version(), PACKAGE: importlib.import_module(PACKAGE).__version__}
    for name in _RECORDED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.lru_cache(maxsize=4096)
def _fingerprint(folder: Path, entries: tuple[str, ...]) -> str:
    reached: dict[str, str] = {}
    pending = [tuple(entry.split(":", 1)) for entry in entries]
    while pending:
        module_name, symbol = pending.pop()
        symbol = symbol.split(".")[0]
        if (key := f"{module_name}:{symbol}") in reached:
            continue
        found = _look_up(folder, module_name, symbol)
        if found is not None:
            reached[key], mentioned = found
            pending.extend(mentioned)
    return hashlib.sha256(json.dumps(reached, sort_keys=True).encode()).hexdigest()[:32]


@functools.cache
def _look_up(folder: Path, module_name: str, symbol: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """The digest of one definition and what it mentions; None outside this package."""
    module = _parse(folder, module_name)
    if module is None:
        return None
    if symbol in module.imports and symbol not in module.bindings:
        return "import", tuple(_target(folder, *module.imports[symbol]))
    statements = [*module.effects, *(module.bindings.get(symbol, []) if symbol != "*" else _all(module))]
    read = [_read(folder, module, node) for node in statements]
    digest = hashlib.sha256("\n".join(text for text, _ in read).encode()).hexdigest()
    return digest, tuple({one: None for _, mentioned in read for one in mentioned})


def _read(folder: Path, module: _Module, node: ast.stmt) -> tuple[str, tuple[tuple[str, str], ...]]:
    if id(node) not in module.read:
        module.read[id(node)] = ast.unparse(node), tuple(_mentions(folder, module, node))
    return module.read[id(node)]


def _all(module: _Module) -> list[ast.stmt]:
    return [node for nodes in module.bindings.values() for node in nodes]


@functools.lru_cache(maxsize=4096)
def _path(folder: Path, module_name: str) -> Path | None:
    parts = module_name.split(".")
    if parts[0] != PACKAGE:
        return None
    base = folder.joinpath(*parts[1:])
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=4096)
def _parse(folder: Path, module_name: str) -> _Module | None:
    path = _path(folder, module_name)
    if path is None:
        return None
    module = _Module(module_name)
    is_package = path.name == "__init__.py"
    for node in _without_docstrings(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module.imports.update(_imported(node, module_name, is_package))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    module.imports.update(_imported(inner, module_name, is_package))
        elif names := list(_bound(node)):
            for name in names:
                module.bindings.setdefault(name, []).append(node)
        elif not _is_docstring(node):
            module.effects.append(node)
    return module


def _imported(
    node: ast.Import | ast.ImportFrom, module_name: str, is_package: bool
) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """(local name, (module, symbol or None)) for every name that an import statement binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            # `import a.b` binds a; `import a.b as c` binds c to a.b
            yield alias.asname or alias.name.split(".")[0], (alias.name, None)
        return
    source = node.module or ""
    if node.level:
        parent = module_name.split(".")
        parent = parent[: len(parent) - node.level + is_package]
        source = ".".join([*parent, source] if source else parent)
    for alias in node.names:
        yield alias.asname or alias.name, (source, alias.name)


def _bound(node: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement binds (also inside if, try and with blocks)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (leaf.id for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
    elif isinstance(node, ast.If | ast.Try | ast.With | ast.For):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _bound(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _without_docstrings(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The same statements; the string that opens a function's or class's body is dropped from it, at any depth."""
    for node in statements:
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):  # a conditional expression or lambda has a body that is none
                _without_docstrings(inner)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and _is_docstring(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
    return statements


def _target(folder: Path, source: str, symbol: str | None) -> list[tuple[str, str]]:
    """The (module, symbol) pairs behind an import; a module imported for its own sake counts as a whole."""
    if not source.startswith(PACKAGE):
        return []
    if symbol is not None and _path(folder, f"{source}.{symbol}") is not None:
        return [(f"{source}.{symbol}", "*")]
    return [(source, symbol or "*")]


def _mentions(folder: Path, module: _Module, node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Everything of this package that one statement refers to."""
    imports = dict(module.imports)
    # the nodes that matter, in one walk
    parts = [one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom | ast.Attribute | ast.Name)]
    for inner in parts:
        if isinstance(inner, ast.Import | ast.ImportFrom):
            is_package = (_path(folder, module.name) or Path()).name == "__init__.py"
            imports.update(_imported(inner, module.name, is_package))
    qualified: set[int] = set()
    for inner in parts:
        # `module.symbol` depends on that symbol alone, not on the whole module
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in imports:
            source, symbol = imports[inner.value.id]
            name = f"{source}.{symbol}" if symbol else source
            parsed = _parse(folder, name)
            if parsed is not None and (inner.attr in parsed.bindings or inner.attr in parsed.imports):
                qualified.add(id(inner.value))
                yield name, inner.attr
    for inner in parts:
        if isinstance(inner, ast.Name) and id(inner) not in qualified:
            if inner.id in module.bindings:
                yield module.name, inner.id
            elif inner.id in imports:
                yield from _target(folder, *imports[inner.id])
