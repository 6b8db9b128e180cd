"""TextEncoder: a row depends on its own text and options only, and a version that is not whole does not load."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from export.contract import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.errors import InvalidOptionError, TextTooLongError, VersionLoadError
from tests.conftest import PROMPTS
from tests.export.checkpoints import HIDDEN, MAX_TOKENS, build_checkpoint, export_to
from tests.tolerances import BATCH_RELATIVE_ERROR, FP32_RELATIVE_ERROR
from tests.versions import relative_error, reseal

ENGINES = ("openvino", "onnxruntime")
POOL = ("", "a", "好", "Да", "🙂", "Hello!", "我今年财运怎么样？", "Как изменить адрес доставки?", "word " * 25,
        "far beyond every limit " * 50)
OPTIONS = [EncodeOptions(prompt, True, normalize) for prompt in (None, "query") for normalize in (None, False)]
FAILING = {"unknown prompt": EncodeOptions("question"), "too long": EncodeOptions(truncate=False)}


@pytest.fixture(scope="module")
def encoders(small_versions):
    return {engine: TextEncoder.load(version, threads=2) for engine, version in small_versions.items()}


@pytest.fixture(params=ENGINES)
def encoder(request, encoders):
    return encoders[request.param]


@pytest.fixture(scope="module")
def alone(encoders):
    """Return {(engine, text, option): the row of that text embedded alone}, with its token count."""
    rows = {}
    for engine, encoder in encoders.items():
        for text in POOL:
            for option in OPTIONS:
                result = encoder.encode([text], [option])
                rows[engine, text, option] = result.embeddings[0], result.token_counts[0]
    return rows


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40)
@given(batch=st.lists(st.tuples(st.sampled_from(POOL), st.sampled_from(OPTIONS)), min_size=1, max_size=40))
def test_a_row_does_not_depend_on_what_else_is_in_its_batch(encoders, alone, engine, batch):
    texts, options = zip(*batch, strict=True)
    result = encoders[engine].encode(texts, options)
    expected = [alone[engine, text, option] for text, option in batch]
    assert relative_error(result.embeddings, np.array([row for row, _ in expected])) < BATCH_RELATIVE_ERROR
    assert result.token_counts.tolist() == [count for _, count in expected]
    assert result.errors == {}
    assert result.padded_tokens >= result.token_counts.sum()


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25)
@given(batch=st.lists(st.tuples(st.sampled_from(POOL[:-2]), st.sampled_from([None, *FAILING])), max_size=20))
def test_a_text_that_fails_fails_alone(encoders, alone, engine, batch):
    texts = [POOL[-1] if fault == "too long" else text for text, fault in batch]
    result = encoders[engine].encode(texts, [FAILING.get(fault, DEFAULT_OPTIONS) for _, fault in batch])
    assert set(result.errors) == {position for position, (_, fault) in enumerate(batch) if fault}
    for position, (text, fault) in enumerate(batch):
        if fault:
            assert isinstance(result.errors[position],
                              TextTooLongError if fault == "too long" else InvalidOptionError)
            assert not result.embeddings[position].any()
            assert result.token_counts[position] == 0
        else:
            expected = alone[engine, text, DEFAULT_OPTIONS][0]
            assert relative_error(result.embeddings[position], expected) < BATCH_RELATIVE_ERROR


def test_a_batch_is_float32_rows_and_int32_counts(encoder):
    result = encoder.encode(["a", "b c"])
    assert (result.embeddings.shape, result.embeddings.dtype) == ((2, HIDDEN), np.dtype("float32"))
    assert (result.token_counts.tolist(), result.token_counts.dtype) == ([3, 4], np.dtype("int32"))


def test_no_texts_give_no_rows(encoder):
    result = encoder.encode([])
    assert result.embeddings.shape == (0, HIDDEN)
    assert (result.errors, result.padded_tokens) == ({}, 0)


def test_token_counts_hold_special_tokens_and_prompt_and_stop_at_the_limit(encoder):
    options = [DEFAULT_OPTIONS, EncodeOptions("query"), DEFAULT_OPTIONS]
    counts = encoder.encode(["好", "好", "好" * 500], options).token_counts
    assert counts.tolist() == [3, 5, MAX_TOKENS]  # "query" and ":" are two tokens of the small vocabulary


def test_normalize_overrides_a_model_that_normalises(encoder, small_checkpoint):
    original = SentenceTransformer(str(small_checkpoint), device="cpu", local_files_only=True)
    raw_original = SentenceTransformer(modules=list(original)[:-1], device="cpu")
    _assert_overrides(encoder, original, raw_original, is_normalised=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_normalize_overrides_a_model_that_does_not_normalise(tmp_path, engine):
    checkpoint = build_checkpoint(tmp_path)
    encoder = TextEncoder.load(export_to(tmp_path / "repository", checkpoint, engine), threads=1)
    original = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    _assert_overrides(encoder, original, original, is_normalised=False)


def test_a_prompt_is_put_before_the_text(encoder):
    prompted = encoder.encode(["text"], [EncodeOptions("query")]).embeddings
    assert relative_error(prompted, encoder.encode([PROMPTS["query"] + "text"]).embeddings) < BATCH_RELATIVE_ERROR
    assert relative_error(prompted, encoder.encode(["text"]).embeddings) > 0.01


def test_warming_leaves_results_as_they_were(encoder):
    before = encoder.encode(POOL).embeddings
    encoder.warm()
    assert relative_error(encoder.encode(POOL).embeddings, before) < BATCH_RELATIVE_ERROR


@pytest.mark.parametrize("file", [MODEL_FILE, TOKENIZER_FILE])
@pytest.mark.parametrize("damage", [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(path.read_bytes() + b" "),
], ids=["missing", "truncated", "longer"])
def test_files_that_are_not_those_of_the_manifest_are_named_before_anything_is_loaded(version_dir, file, damage):
    damage(version_dir / file)
    with pytest.raises(VersionLoadError, match=r"is missing|export the model again") as caught:
        TextEncoder.load(version_dir, threads=1)
    assert str(version_dir / file) in str(caught.value)


@pytest.mark.parametrize("file", [MODEL_FILE, TOKENIZER_FILE])
def test_a_corrupt_file_with_a_matching_sha256_is_named_too(version_dir, file):
    path = version_dir / file
    path.write_bytes(path.read_bytes()[:100])
    reseal(version_dir)
    with pytest.raises(VersionLoadError) as caught:
        TextEncoder.load(version_dir, threads=1)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "{}", None])
def test_a_damaged_manifest_is_named(version_dir, content):
    path = version_dir / MANIFEST_FILE
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(VersionLoadError) as caught:
        TextEncoder.load(version_dir, threads=1)
    assert str(path) in str(caught.value)


def _assert_overrides(encoder: TextEncoder, original: SentenceTransformer, raw_original: SentenceTransformer,
                      is_normalised: bool) -> None:
    texts = list(POOL)
    raw = raw_original.encode(texts, batch_size=1)
    unit = original.encode(texts, batch_size=1, normalize_embeddings=True)
    for normalize, expected in ((None, unit if is_normalised else raw), (True, unit), (False, raw)):
        found = encoder.encode(texts, [EncodeOptions(normalize=normalize)] * len(texts)).embeddings
        assert relative_error(found, expected) < FP32_RELATIVE_ERROR
    mixed = encoder.encode(["a", "a"], [EncodeOptions(normalize=True), EncodeOptions(normalize=False)]).embeddings
    assert np.linalg.norm(mixed[0]) == pytest.approx(1, abs=FP32_RELATIVE_ERROR)
    assert abs(np.linalg.norm(mixed[1]) - 1) > 0.1
