"""Fingerprints of what decides the content of an item: the code that its function reaches, libraries, parameters.

The code is found, not listed: from the function through every name that its body uses, module by module, to the
definitions of this project and the libraries that they use. Annotations are not followed. Not counted are comments,
docstrings, blanks, which build of a library is installed (``2.13.0+cpu`` is ``2.13.0``), and `UNCOUNTED` modules. What
is looked up by a text, or handed over as an object, is not found.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# They name, report and write things, and compute nothing: a new error message is no reason to compute features again.
UNCOUNTED = ("dmdbt.errors", "dmdbt.files", "dmdbt.terms")
_EVERYTHING = "*"
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Reached:
    """Dumps of the project's definitions that a function uses, and names of libraries, both by ``module:name``."""

    definitions: dict[str, str]
    imported: dict[str, str]


def code_fingerprint(function: Callable[..., Any], parameters: Mapping[str, object]) -> str:
    """Return a digest of the code that a function reaches, of its libraries' versions, and of parameters.

    The function is one of a module, or a `functools.partial` of one, whose arguments do not count.
    """
    reached = reach(function)
    return digest([reached.definitions, reached.imported, _versions(reached.imported), dict(parameters)])


def digest(content: object) -> str:
    """Return the SHA-256 of what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def reach(function: Callable[..., Any]) -> Reached:
    """Return the definitions of a function's project that it uses, itself among them, and the libraries."""
    while isinstance(function, partial):
        function = function.func
    project = _Project(function.__module__.partition(".")[0])
    definitions: dict[str, str] = {}
    waiting, seen = [(function.__module__, function.__qualname__)], set[tuple[str, str]]()
    while waiting:
        place = module, name = waiting.pop()
        if place in seen or module in UNCOUNTED:
            continue
        seen.add(place)
        source = project.module(module)
        statements = source.statements(name)
        definitions[f"{module}:{name}"] = "\n".join(map(ast.dump, statements))
        waiting += [used for statement in statements for used in project.used(statement, source)]
        waiting.append((module, ""))  # statements that bind no name run when the module is imported
    return Reached(definitions, project.imported)


class _Module:
    """The top-level statements of a module by the names that they bind; "" for those that bind none."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self._bound: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            if not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
                for bound in _bound_names(statement):
                    self._bound.setdefault(bound, []).append(statement)

    def statements(self, name: str) -> list[ast.stmt]:
        if name == _EVERYTHING:
            return [each for bound in self._bound.values() for each in bound if not isinstance(each, _IMPORTS)]
        return self._bound.get(name, [])


class _Project:
    """The modules of one package, parsed when they are first asked for, and what of libraries was met on the way."""

    def __init__(self, package: str) -> None:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ValueError(f"code_fingerprint: expected a function of a module, got one of {package}")
        home = Path(spec.origin)
        self._package, self._root = package, home.parents[1] if home.name == "__init__.py" else home.parent
        self._modules: dict[str, _Module] = {}
        self.imported: dict[str, str] = {}

    def module(self, name: str) -> _Module:
        if name not in self._modules:
            file = self._file(name)
            if file is None:
                raise ValueError(f"code_fingerprint: expected the name of a module, got {name}")
            self._modules[name] = _Module(name, _without_docstrings(ast.parse(file.read_text("utf-8"))))
        return self._modules[name]

    def used(self, statement: ast.stmt, source: _Module) -> Iterator[tuple[str, str]]:
        """Yield module and name of what a top-level statement uses of this project; note what is of libraries."""
        local = {bound: node for node in ast.walk(statement) if isinstance(node, _IMPORTS) for bound in _imported(node)}
        for name, attribute in _references(statement) | {(bound, None) for bound in local}:
            for node in [local[name]] if name in local else source.statements(name):
                if isinstance(node, _IMPORTS):
                    yield from self._target(node, name, attribute, source)
                else:
                    yield source.name, name

    def _target(
        self, node: ast.Import | ast.ImportFrom, name: str, attribute: str | None, source: _Module
    ) -> Iterator[tuple[str, str]]:
        """Yield what a name stands for that an import binds, with an attribute that is taken of it."""
        original = _imported(node)[name]
        if isinstance(node, ast.Import):
            module, member = original, attribute or _EVERYTHING
        elif self._file(f"{node.module}.{original}"):
            module, member = f"{node.module}.{original}", attribute or _EVERYTHING
        else:
            module, member = str(node.module), original
        if module.partition(".")[0] != self._package:
            self.imported[f"{source.name}:{name}"] = f"{module}.{original}".removesuffix(f".{module}")
        elif module not in UNCOUNTED:
            defining = self.module(module)
            bound = [handing for handing in defining.statements(member) if isinstance(handing, _IMPORTS)]
            if not bound:
                yield module, member
            for handing in bound:  # a package's __init__ hands names on
                yield module, ""
                yield from self._target(handing, member, attribute, defining)

    def _file(self, module: str) -> Path | None:
        path = self._root.joinpath(*module.split("."))
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _bound_names(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement binds, and "" if it does more than that."""
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    if isinstance(statement, _IMPORTS):
        return set(_imported(statement))
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names.update(name for node in ast.walk(statement) if isinstance(node, _IMPORTS) for name in _imported(node))
    plain = isinstance(statement, (ast.Assign, ast.AnnAssign)) and names
    return names if plain else names | {""}


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return the module or member that each name stands for, of those that an import binds."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
    return {alias.asname or alias.name: alias.name for alias in node.names}


def _references(statement: ast.stmt) -> set[tuple[str, str | None]]:
    """Names that a statement uses, each with the attribute that is taken of it; those of annotations are left out."""
    found: set[tuple[str, str | None]] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((node.value.id, node.attr))
            return
        if isinstance(node, ast.Name):
            found.add((node.id, None))
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        visit(child)

    visit(statement)
    return found


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *_DEFINITIONS)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _versions(imported: Mapping[str, str]) -> dict[str, str]:
    """Public versions of the distributions of imported packages."""
    packages, known = {name.partition(".")[0] for name in imported.values()}, packages_distributions()
    found = {distribution for package in packages - sys.stdlib_module_names for distribution in known.get(package, ())}
    return {distribution: version(distribution).partition("+")[0] for distribution in sorted(found)}
