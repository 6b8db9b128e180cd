"""House rules that a reader would check by eye: docstrings, sizes and names of files."""

import ast

import pytest

from tests.meta.source_tree import PACKAGES, ROOT, Module, modules

MAX_LINES = 300
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "base", "core"}
CODE = (*PACKAGES, "benchmarks", "tools")


def _lines(module: Module) -> int:
    return len((ROOT / module.path).read_text(encoding="utf-8").splitlines())


def _public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")]


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_module_says_what_it_is_for(folder):
    assert [module.path for module in modules(folder) if not ast.get_docstring(module.tree)] == []


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_public_function_and_class_has_a_docstring(folder):
    assert [f"{module.path}: {node.name}" for module in modules(folder) for node in _public(module.tree)
            if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_no_file_is_too_long_to_read_at_once(folder):
    assert {module.path: _lines(module) for module in modules(folder) if _lines(module) > MAX_LINES} == {}


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_no_module_has_a_name_that_says_nothing(folder):
    assert [module.path for module in modules(folder) if VAGUE_NAMES & set(module.name.split("."))] == []


def test_test_modules_mirror_the_modules_they_test():
    """Each tests/<package>/…/test_<name>.py has its <package>/…/<name>.py, or a folder or command of that name."""
    strays = []
    for module in modules("tests"):
        folder, _, name = module.path.removeprefix("tests/").rpartition("/")
        if name.startswith("test_") and folder.partition("/")[0] in PACKAGES:
            subject = ROOT / folder / name.removeprefix("test_").removesuffix(".py")
            if not (subject.is_dir() or subject.with_suffix(".py").exists()):
                strays.append(module.path)
    assert strays == []
