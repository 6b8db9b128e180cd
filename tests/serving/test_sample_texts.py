import re

import pytest

from serving.sample_texts import MIXES, sample_texts


@pytest.mark.parametrize("mix_name", MIXES)
def test_the_same_seed_gives_the_same_texts(mix_name):
    assert sample_texts(mix_name, 50, seed=3) == sample_texts(mix_name, 50, seed=3)
    assert sample_texts(mix_name, 50, seed=3) != sample_texts(mix_name, 50, seed=4)


def test_a_longer_sample_begins_with_the_shorter_one():
    assert sample_texts("short", 80)[:20] == sample_texts("short", 20)


@pytest.mark.parametrize("mix_name", MIXES)
def test_english_lengths_fill_the_bounds_of_the_mix(mix_name):
    lengths = [len(text.split()) for text in sample_texts(mix_name, 500, chinese_share=0)]
    mix = MIXES[mix_name]
    spread = mix.max_words - mix.min_words
    assert mix.min_words <= min(lengths) <= mix.min_words + spread * 0.1
    assert mix.max_words - spread * 0.1 <= max(lengths) <= mix.max_words


def test_every_placeholder_is_filled_and_every_text_ends_in_a_mark():
    for text in sample_texts("long", 200, chinese_share=0.3):
        assert not re.search(r"[{}|]|\s{2}", text)
        assert text[-1] in ".?。"


def test_texts_hardly_repeat():
    assert len(set(sample_texts("short", 1000))) > 950


@pytest.mark.parametrize(("share", "expected"), [(0, 0), (1, 200)])
def test_chinese_share_decides_how_many_texts_are_chinese(share, expected):
    texts = sample_texts("short", 200, chinese_share=share)
    assert sum(bool(re.search(r"[\u4e00-\u9fff]", text)) for text in texts) == expected


def test_an_unknown_mix_is_refused():
    with pytest.raises(KeyError):
        sample_texts("medium", 1)
