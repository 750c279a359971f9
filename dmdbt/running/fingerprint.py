"""What decides the content of a stage's items beside their inputs: code, parameters and libraries."""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def recipe(modules: Sequence[str], parameters: Mapping[str, object]) -> str:
    """Digest of code, of the versions of the libraries that it imports, and of parameters.

    Parameters
    ----------
    modules
        Dotted names of modules and packages. Comments, docstrings and blanks in them do not count, nor does which
        build of a library is installed (``2.13.0+cpu`` is ``2.13.0``).
    parameters
        Of types that JSON knows.

    Raises
    ------
    ValueError
        There is no module of such a name.
    """
    trees = {file.as_posix(): ast.parse(path.read_text("utf-8")) for name in modules for file, path in _sources(name)}
    own = {name.partition(".")[0] for name in modules}
    libraries = _versions(set().union(*(_imported(tree) for tree in trees.values())) - own)
    return digest([{file: _code(tree) for file, tree in trees.items()}, libraries, dict(parameters)])


def digest(content: object) -> str:
    """SHA-256 of what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sources(module: str) -> Iterator[tuple[Path, Path]]:
    """The Python files of a module or package: what they are called in the project, and where they are."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"recipe: expected the name of a module, got {module}")
    home, name = Path(spec.origin), Path(*module.split("."))
    if spec.submodule_search_locations is None:
        yield name, home
    else:
        for path in sorted(home.parent.rglob("*.py")):
            yield name / path.relative_to(home.parent), path


def _imported(tree: ast.AST) -> set[str]:
    """Top-level names of what a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names


def _versions(packages: set[str]) -> dict[str, str]:
    """Public versions of the distributions of importable packages."""
    known = packages_distributions()
    found = {distribution for package in packages for distribution in known.get(package, ())}
    return {distribution: version(distribution).partition("+")[0] for distribution in sorted(found)}


def _code(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
