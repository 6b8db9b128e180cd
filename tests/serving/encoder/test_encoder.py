"""TextEncoder: a row depends on its own text and options only, and a version that is not whole does not load."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from export.contract import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE
from export.intent_export import export_intent
from export.manifest import GeneratorManifest
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.errors import InvalidOptionError, TextTooLongError, VersionLoadError
from tests.conftest import PROMPTS
from tests.export.checkpoints import HIDDEN, MAX_TOKENS, build_checkpoint, build_intent_checkpoint, export_to
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
                rows[engine, text, option] = result.vectors[0], result.token_counts[0]
    return rows


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40)
@given(batch=st.lists(st.tuples(st.sampled_from(POOL), st.sampled_from(OPTIONS)), min_size=1, max_size=40))
def test_a_row_does_not_depend_on_what_else_is_in_its_batch(encoders, alone, engine, batch):
    texts, options = zip(*batch, strict=True)
    result = encoders[engine].encode(texts, options)
    expected = [alone[engine, text, option] for text, option in batch]
    assert relative_error(result.vectors, np.array([row for row, _ in expected])) < BATCH_RELATIVE_ERROR
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
            assert not result.vectors[position].any()
            assert result.token_counts[position] == 0
        else:
            expected = alone[engine, text, DEFAULT_OPTIONS][0]
            assert relative_error(result.vectors[position], expected) < BATCH_RELATIVE_ERROR


def test_a_batch_is_float32_rows_and_int32_counts(encoder):
    result = encoder.encode(["a", "b c"])
    assert (result.vectors.shape, result.vectors.dtype) == ((2, HIDDEN), np.dtype("float32"))
    assert (result.token_counts.tolist(), result.token_counts.dtype) == ([3, 4], np.dtype("int32"))


def test_no_texts_give_no_rows(encoder):
    result = encoder.encode([])
    assert result.vectors.shape == (0, HIDDEN)
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
    prompted = encoder.encode(["text"], [EncodeOptions("query")]).vectors
    assert relative_error(prompted, encoder.encode([PROMPTS["query"] + "text"]).vectors) < BATCH_RELATIVE_ERROR
    assert relative_error(prompted, encoder.encode(["text"]).vectors) > 0.01


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A small intent model whose default prompt is "query"."""
    folder = tmp_path_factory.mktemp("intent")
    checkpoint = build_intent_checkpoint(folder / "trained", prompt_name="query", prompts=PROMPTS)
    return TextEncoder.load(export_intent(checkpoint, "intent", folder, "onnxruntime", "fp32"), threads=2)


def test_an_intent_model_gives_a_score_for_each_label_whatever_else_is_in_the_batch(classifier):
    classifier.warm()
    alone = np.concatenate([classifier.encode([text]).vectors for text in POOL])
    together = classifier.encode(POOL)
    assert (together.vectors.shape, together.vectors.dtype) == ((len(POOL), 3), np.dtype("float32"))
    assert relative_error(together.vectors, alone) < BATCH_RELATIVE_ERROR
    assert together.vectors.min() >= 0
    assert together.vectors.max() <= 1


def test_an_intent_model_takes_prompts_and_truncation_but_no_normalize(classifier):
    options = [EncodeOptions("passage"), EncodeOptions(truncate=False), EncodeOptions(normalize=True), DEFAULT_OPTIONS]
    result = classifier.encode(["好", POOL[-1], "好", "好"], options)
    assert {position: type(error) for position, error in result.errors.items()} == {
        1: TextTooLongError, 2: InvalidOptionError}
    assert "'normalize' means nothing to an intent model" in str(result.errors[2])
    assert not result.vectors[[1, 2]].any()
    assert relative_error(result.vectors[3], classifier.encode(["好"], [EncodeOptions("query")]).vectors[0]) < 1e-6
    assert relative_error(result.vectors[0], result.vectors[3]) > 0.01


def test_a_model_of_another_task_is_refused(version_dir):
    manifest = GeneratorManifest(
        model="m", version=1, task="text-generation", source="", revision=None, engine="onnxruntime",
        precision="fp32", max_tokens=8, layers=1, kv_heads=1, head_dim=1, vocab_size=9, kv_type="float32",
        stop_token_ids=(1,))
    manifest.write(version_dir)
    with pytest.raises(VersionLoadError, match="does text-generation, which this backend does not serve"):
        TextEncoder.load(version_dir, threads=1)


def test_warming_leaves_results_as_they_were(encoder):
    before = encoder.encode(POOL).vectors
    encoder.warm()
    assert relative_error(encoder.encode(POOL).vectors, before) < BATCH_RELATIVE_ERROR


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
        found = encoder.encode(texts, [EncodeOptions(normalize=normalize)] * len(texts)).vectors
        assert relative_error(found, expected) < FP32_RELATIVE_ERROR
    mixed = encoder.encode(["a", "a"], [EncodeOptions(normalize=True), EncodeOptions(normalize=False)]).vectors
    assert np.linalg.norm(mixed[0]) == pytest.approx(1, abs=FP32_RELATIVE_ERROR)
    assert abs(np.linalg.norm(mixed[1]) - 1) > 0.1
