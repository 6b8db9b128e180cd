"""The golden texts reach every length and script, and the batches every composition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.golden import golden_batches, golden_texts
from tests.export.checkpoints import BODIES, MAX_TOKENS, build_body


@given(st.integers(min_value=1, max_value=4096))
def test_one_text_has_more_words_than_any_limit_has_tokens(max_tokens):
    assert max(len(text.split()) for text in golden_texts(max_tokens)) > max_tokens


@pytest.mark.parametrize("body", BODIES)
def test_the_texts_run_from_nothing_to_beyond_the_limit_and_no_script_is_unknown_to_the_test_tokenisers(tmp_path, body):
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(build_body(tmp_path / "body", body))
    rows = tokenizer(golden_texts(MAX_TOKENS), add_special_tokens=False, truncation=False).input_ids
    lengths = [len(row) for row in rows]
    assert min(lengths) == 0
    assert min(filter(None, lengths)) <= 2  # XLM-R puts a space of its own before a word
    assert max(lengths) > 2 * MAX_TOKENS
    # A tokeniser that knew nothing would make every text the same and every parity figure perfect.
    unknown = sum(row.count(tokenizer.unk_token_id) for row in rows) / sum(lengths)
    assert unknown < 0.1


def test_the_texts_hold_latin_chinese_cyrillic_and_emoji():
    everything = "".join(golden_texts(1))
    for low, high in (("a", "z"), ("一", "鿿"), ("а", "я"), ("\U0001f300", "\U0001faff")):
        assert any(low <= character <= high for character in everything)


@given(st.integers(min_value=1, max_value=60), st.lists(st.sampled_from(["query", "passage", "a"]), unique=True))
def test_every_text_is_proven_alone_among_all_others_and_with_every_prompt(texts, prompts):
    batches = golden_batches(texts, prompts)
    everything = set(range(texts))
    assert all(set(batch.indices) <= everything for batch in batches)
    plain = [batch.indices for batch in batches if batch.prompt_name is None]
    assert {(index,) for index in everything} <= set(plain)
    for prompt in (None, *prompts):
        assert any(set(batch.indices) == everything for batch in batches if batch.prompt_name == prompt)


def test_mixed_batches_come_in_several_sizes_and_orders():
    sizes = {len(batch.indices) for batch in golden_batches(22, [])}
    assert {1, 2, 3, 8, 16, 22} <= sizes
