"""The names that every part shares: what a model may be called and what counts as a version."""

import subprocess
import sys

import pytest

from export.contract import MODEL_NAME_PATTERN, version_numbers


@pytest.mark.parametrize("name", ["fast", "a", "7b", "all-MiniLM-L6-v2", "bge_m3", "v1.5", "a" * 64])
def test_ordinary_names_are_taken(name):
    assert MODEL_NAME_PATTERN.match(name)


@pytest.mark.parametrize("name", [
    "", ".", "..", ".hidden", "-flag", "_x", "a/b", "a\\b", "../a", "a..b", "a..", "a b", "a\n", "a\0", "é", "模型",
    "a" * 65, "%2e%2e", "a:b",
])
def test_names_that_could_leave_the_folder_or_break_a_url_are_refused(name):
    assert not MODEL_NAME_PATTERN.match(name)


def test_versions_are_the_numbered_directories_in_numeric_order(tmp_path):
    for name in ("10", "9", "1", "0", "-1", "1.5", "v2", "٣", ".staging-7", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "3").write_text("a file is no version")
    assert version_numbers(tmp_path) == [1, 9, 10]


def test_a_number_with_leading_zeros_is_no_version_because_its_directory_has_another_name(tmp_path):
    (tmp_path / "007").mkdir()
    assert version_numbers(tmp_path) == []


def test_a_model_that_does_not_exist_has_no_versions(tmp_path):
    assert version_numbers(tmp_path / "none") == []


def test_contract_and_manifest_load_with_the_standard_library_alone():
    # -S leaves site-packages out, so any third-party import fails.
    code = "import sys; sys.path.insert(0, sys.argv[1]); import export.contract, export.manifest"
    root = sys.modules["export"].__path__[0].rpartition("/")[0]
    subprocess.run([sys.executable, "-S", "-c", code, root], check=True)
