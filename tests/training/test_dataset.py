import hashlib
import json

import numpy as np
import pytest

from tests.training.toy import write_toy
from training.dataset import Dataset, Example, read_dataset, write_dataset
from training.errors import DatasetError

EXAMPLE = {"id": "1", "text": "我今年财运怎么样", "labels": ["wealth"], "split": None, "origin": "label"}


def write_lines(directory, *lines):
    """Write a snapshot of raw lines whose digest is right."""
    content = "".join(line + "\n" for line in lines)
    write_dataset(directory, ["wealth", "love"], [])
    (directory / "examples.jsonl").write_text(content, encoding="utf-8")
    document = json.loads((directory / "dataset.json").read_text())
    document["sha256"] = hashlib.sha256(content.encode()).hexdigest()
    (directory / "dataset.json").write_text(json.dumps(document))


def test_what_was_written_is_read(tmp_path):
    written = write_toy(tmp_path / "new")
    assert read_dataset(tmp_path / "new") == written
    assert written.labels == ("wealth", "love", "health")


def test_targets_have_a_column_for_each_label_and_none_for_out_of_scope():
    examples = (Example("1", "a", ("love", "wealth"), None, "label"), Example("2", "b", (), None, "label"))
    targets = Dataset(("wealth", "health", "love"), examples, "").targets()
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1, 0, 1], [0, 0, 0]]


def test_a_line_break_of_unicode_in_a_question_ends_no_line(tmp_path):
    write_lines(tmp_path, json.dumps({**EXAMPLE, "text": "a\u2028b"}, ensure_ascii=False))
    assert read_dataset(tmp_path).examples[0].text == "a\u2028b"


def test_a_changed_snapshot_is_refused(tmp_path):
    write_toy(tmp_path)
    with (tmp_path / "examples.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DatasetError, match="changed or damaged"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("change", "message"), [
    ({"labels": ["luck"]}, "line 2: label 'luck' is not in the taxonomy"),
    ({"split": "dev"}, "line 2: split 'dev'"), ({"origin": "guess"}, "origin 'guess'"),
    ({"text": " "}, "line 2: id and text"), ({"id": "1"}, "id '1' occurs twice"),
])
def test_a_wrong_example_is_refused_with_its_line(tmp_path, change, message):
    write_lines(tmp_path, json.dumps(EXAMPLE), json.dumps({**EXAMPLE, "id": "2", **change}))
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path)


@pytest.mark.parametrize("line", ["{", "[]", "{}", '"text"'])
def test_a_line_that_is_no_example_is_refused(tmp_path, line):
    write_lines(tmp_path, line)
    with pytest.raises(DatasetError, match="line 1 is not an example"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("document", [
    "", "[]", '{"format": 2, "sha256": ""}', '{"format": 1, "sha256": "", "labels": 3}',
    '{"format": 1, "sha256": "", "labels": ["a", "a"]}'])
def test_a_wrong_description_is_refused(tmp_path, document):
    write_toy(tmp_path)
    (tmp_path / "dataset.json").write_text(document)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        read_dataset(tmp_path)
