"""What a decoder's norms give while it reads the calibration texts."""

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from export.calibration import read_calibration_texts
from export.decoder_calibration import calibration_rows, observe_norms
from export.decoder_checkpoint import load_decoder
from tests.export.decoders import build_decoder

ROWS = [[5, 9, 3, 40, 7], [8, 8, 1]]


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_every_norm_of_the_stream_is_seen_in_order_and_without_its_gain(tmp_path, family):
    model = load_decoder(build_decoder(tmp_path, family))
    grams = observe_norms(model, ROWS)
    assert [gram.shape for gram in grams] == [(64, 64)] * 5
    for gram in grams:
        assert np.trace(gram) == pytest.approx(64 * 8, rel=1e-5), "each of eight tokens has mean square 1"
    embedded = model.get_input_embeddings()(torch.tensor(ROWS[0] + ROWS[1])).detach().numpy()
    first = embedded / np.sqrt(np.mean(embedded ** 2, axis=1, keepdims=True))
    np.testing.assert_allclose(grams[0], first.T @ first, atol=1e-3)
    with torch.no_grad():
        last = [model.model(torch.tensor([row])).last_hidden_state[0] / model.model.norm.weight for row in ROWS]
    last = torch.cat(last).numpy()
    np.testing.assert_allclose(grams[-1], last.T @ last, atol=1e-3)


def test_a_token_that_is_embedded_as_nothing_adds_nothing(tmp_path):
    model = load_decoder(build_decoder(tmp_path, "llama"))
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = 0
    assert np.trace(observe_norms(model, [[5, 7, 9]])[0]) == pytest.approx(64 * 2, rel=1e-5)


def test_observing_leaves_nothing_behind(tmp_path):
    model = load_decoder(build_decoder(tmp_path, "llama"))
    np.testing.assert_array_equal(observe_norms(model, ROWS), observe_norms(model, ROWS))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_texts_are_joined_to_rows_that_fit(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(build_decoder(tmp_path))
    rows = calibration_rows(tokenizer, 100)
    assert {len(row) for row in rows[:-1]} == {100}
    assert tokenizer.decode([token for row in rows for token in row]) == "".join(
        f"{text}\n" for text in read_calibration_texts())
