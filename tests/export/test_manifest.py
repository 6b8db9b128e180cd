"""manifest.json: read as written, tolerant of what is new, strict about what is missing or damaged."""

import dataclasses
import json

import pytest

from export.contract import MANIFEST_FILE
from export.manifest import FORMAT, EncoderManifest, ManifestError, read_manifest, sha256_of, verify_files

MANIFEST = EncoderManifest(
    model="m", version=3, task="embedding", source="hub:org/m", revision="c0ffee", engine="openvino", precision="bf16",
    dimension=384, max_tokens=256, pad_token_id=0, pooling=("mean", "cls"), pools_prompt=False, normalized=True,
    prompts={"query": "запрос: ", "文": "查询："}, default_prompt="query", parity={"min_cosine": 0.99997, "rows": 99},
    golden_text="好", golden_embedding=(0.6, -0.8), created_at="2026-01-02T03:04:05+00:00",
    built_with={"torch": "2.13.0"}, files={"model.onnx": "00"})
REQUIRED = [field.name for field in dataclasses.fields(EncoderManifest)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]


def test_a_manifest_reads_back_as_it_was_written(tmp_path):
    MANIFEST.write(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


def test_a_manifest_stays_readable_for_people(tmp_path):
    MANIFEST.write(tmp_path)
    text = (tmp_path / MANIFEST_FILE).read_text(encoding="utf-8")
    assert "查询：" in text
    assert json.loads(text)["format"] == FORMAT


def test_unknown_keys_are_ignored_so_that_an_older_conch_reads_a_newer_manifest(tmp_path):
    _write(tmp_path, {**_document(), "labels": ["a"], "temperature": 1.5})
    assert read_manifest(tmp_path) == MANIFEST


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named_together_with_the_file(tmp_path, field):
    document = _document()
    del document[field]
    _write(tmp_path, document)
    with pytest.raises(ManifestError, match=field) as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / MANIFEST_FILE) in str(caught.value)


@pytest.mark.parametrize("text", [
    "", "{", '{"format": 1', "[]", "null", "1", "{}", '{"format": 2}', '{"format": "1"}',
    json.dumps({**dataclasses.asdict(MANIFEST), "format": FORMAT + 1}),
    json.dumps({**dataclasses.asdict(MANIFEST), "format": FORMAT, "pooling": None}),
    json.dumps({**dataclasses.asdict(MANIFEST), "format": FORMAT})[:-20],
])
def test_what_is_no_manifest_of_this_format_is_refused_with_the_file_named(tmp_path, text):
    (tmp_path / MANIFEST_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / MANIFEST_FILE) in str(caught.value)


def test_a_manifest_that_is_not_text_is_refused_with_the_file_named(tmp_path):
    (tmp_path / MANIFEST_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=MANIFEST_FILE):
        read_manifest(tmp_path)


def test_a_directory_without_manifest_is_refused_with_the_file_named(tmp_path):
    with pytest.raises(ManifestError, match=MANIFEST_FILE):
        read_manifest(tmp_path)


def test_sha256_is_that_of_the_whole_file(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")  # FIPS 180-2 gives this digest.
    assert sha256_of(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    file.write_bytes(b"\0" * (1 << 20) + b"abc")  # more than one chunk
    first = sha256_of(file)
    file.write_bytes(b"\0" * (1 << 20) + b"abd")
    assert sha256_of(file) != first


def test_files_that_are_as_stated_are_accepted(tmp_path):
    verify_files(tmp_path, _with_files(tmp_path))


def test_a_changed_file_is_named_and_the_way_out_given(tmp_path):
    manifest = _with_files(tmp_path)
    (tmp_path / "b.json").write_bytes(b"B")
    with pytest.raises(ManifestError, match="export the model again") as caught:
        verify_files(tmp_path, manifest)
    assert str(tmp_path / "b.json") in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    manifest = _with_files(tmp_path)
    (tmp_path / "a.onnx").unlink()
    with pytest.raises(ManifestError, match="missing") as caught:
        verify_files(tmp_path, manifest)
    assert str(tmp_path / "a.onnx") in str(caught.value)


def _document() -> dict:
    return {"format": FORMAT, **dataclasses.asdict(MANIFEST)}


def _write(folder, document: dict) -> None:
    (folder / MANIFEST_FILE).write_text(json.dumps(document), encoding="utf-8")


def _with_files(folder) -> EncoderManifest:
    for name in ("a.onnx", "b.json"):
        (folder / name).write_bytes(name.encode())
    return dataclasses.replace(MANIFEST, files={name: sha256_of(folder / name) for name in ("a.onnx", "b.json")})
