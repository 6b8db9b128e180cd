"""The project's own modules as syntax trees, for the tests that read code instead of running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What is installed; `training` joins when it comes.
PACKAGES = tuple(name for name in ("conch", "control_plane", "export", "serving", "training") if (ROOT / name).is_dir())


@dataclass(frozen=True)
class Module:
    """One file of ours: its dotted name, path from the root, and tree."""

    name: str
    path: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.name.partition(".")[0]


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Return every module under `folders`, by path."""
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return tuple(_read(file) for file in files)


def _read(file: Path) -> Module:
    path = file.relative_to(ROOT)
    parts = path.parent.parts if file.name == "__init__.py" else path.with_suffix("").parts
    return Module(".".join(parts), path.as_posix(), ast.parse(file.read_text(encoding="utf-8"), filename=str(path)))


def imported_modules(tree: ast.AST, ours: set[str] = frozenset()) -> set[str]:
    """Return the dotted names that `tree` imports; `from a import b` means a.b where that is a module of `ours`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in ours else node.module)
    return names


def imports_in_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield each import that runs with a function and not with its module, importlib.import_module included."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) or _is_dynamic_import(node):
                    yield node


def _is_dynamic_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")


def uses_environment(tree: ast.Module) -> bool:
    """Return whether a module touches the process's environment through os."""
    names = {"environ", "environb", "getenv", "putenv"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "os"
                for alias in node.names}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return bool(names & (imported | used))
