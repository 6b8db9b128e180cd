"""Texts to token rows: the ids that sentence-transformers makes, truncation, prompts, errors of single texts."""

import pytest
from sentence_transformers import SentenceTransformer

from export.contract import TOKENIZER_FILE
from export.golden import golden_texts
from export.manifest import read_manifest
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.encoder.tokenization import TextTokenizer, TokenRow
from serving.errors import InvalidOptionError, TextTooLongError, VersionLoadError
from tests.conftest import PROMPTS
from tests.export.checkpoints import BODIES, MAX_TOKENS, build_checkpoint, export_to

TEXTS = golden_texts(MAX_TOKENS)


@pytest.fixture(scope="module")
def tokenizer(small_versions):
    version = small_versions["openvino"]
    return TextTokenizer(version, read_manifest(version))


@pytest.mark.parametrize("body", BODIES)
def test_ids_and_prompt_lengths_are_those_of_sentence_transformers(tmp_path, body):
    checkpoint = build_checkpoint(tmp_path, body, prompts=PROMPTS, include_prompt=False)
    original = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    version = export_to(tmp_path / "repository", checkpoint)
    tokenizer = TextTokenizer(version, read_manifest(version))
    for name, prompt in (("query", PROMPTS["query"]), (None, "")):
        rows = tokenizer.tokenize(TEXTS, [EncodeOptions(name)] * len(TEXTS))
        for text, row in zip(TEXTS, rows, strict=True):
            expected = original.preprocess([text], prompt=prompt)
            assert row.ids == expected["input_ids"][0].tolist()
            assert row.prompt_tokens == expected.get("prompt_length", 0)


def test_no_row_is_longer_than_the_limit_and_a_cut_one_keeps_its_closing_token(tokenizer):
    rows = tokenizer.tokenize(TEXTS, [DEFAULT_OPTIONS] * len(TEXTS))
    lengths = [len(row.ids) for row in rows]
    assert max(lengths) == MAX_TOKENS
    assert {(row.ids[0], row.ids[-1]) for row in rows} == {(2, 3)}  # [CLS] and [SEP] of the small vocabulary


def test_the_empty_text_is_its_special_tokens(tokenizer):
    assert tokenizer.tokenize([""], [DEFAULT_OPTIONS]) == [TokenRow([2, 3])]


@pytest.mark.parametrize(("characters", "fits"), [(MAX_TOKENS - 2, True), (MAX_TOKENS - 1, False), (5000, False)])
def test_without_truncation_a_text_over_the_limit_is_an_error_and_one_at_the_limit_is_not(
        tokenizer, characters, fits):
    row, other = tokenizer.tokenize(["好" * characters, "好"], [EncodeOptions(truncate=False)] * 2)
    assert isinstance(row, TokenRow if fits else TextTooLongError)
    assert len(other.ids) == 3
    if not fits:
        assert str(MAX_TOKENS) in str(row)


def test_the_prompt_counts_towards_the_limit(tokenizer):
    text = "好" * (MAX_TOKENS - 2)
    plain, prompted = tokenizer.tokenize([text] * 2, [EncodeOptions(truncate=False),
                                                      EncodeOptions("query", truncate=False)])
    assert isinstance(plain, TokenRow)
    assert isinstance(prompted, TextTooLongError)


def test_every_row_has_its_own_prompt(tokenizer):
    plain, query, passage = tokenizer.tokenize(["a"] * 3, [EncodeOptions(name) for name in (None, "query", "passage")])
    spelled_out = tokenizer.tokenize(["a", "query: a", "passage: a"], [DEFAULT_OPTIONS] * 3)
    assert [plain.ids, query.ids, passage.ids] == [row.ids for row in spelled_out]


def test_an_unknown_prompt_is_the_error_of_its_row_and_lists_those_that_exist(tokenizer):
    wrong, right = tokenizer.tokenize(["a", "a"], [EncodeOptions("question"), EncodeOptions("query")])
    assert isinstance(wrong, InvalidOptionError)
    for part in ("'question'", "passage", "query"):
        assert part in str(wrong)
    assert isinstance(right, TokenRow)


def test_nothing_to_tokenise_is_no_rows(tokenizer):
    assert tokenizer.tokenize([], []) == []


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xfe", None])
def test_a_damaged_tokeniser_is_named(version_dir, content):
    file = version_dir / TOKENIZER_FILE
    manifest = read_manifest(version_dir)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(VersionLoadError, match="cannot be read") as caught:
        TextTokenizer(version_dir, manifest)
    assert str(file) in str(caught.value)
