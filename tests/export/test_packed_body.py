"""A token's hidden state in a packed row is that of its text alone, in every family of bodies."""

import numpy as np
import pytest
import torch
import transformers

from export.contract import INPUT_IDS, POSITION_IDS, SEGMENT_IDS, TOKEN_INDEX
from export.packed_body import FAMILIES, run_packed
from tests.export.checkpoints import BODIES, HIDDEN, build_body
from tests.graph_inputs import graph_inputs, random_texts
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import relative_error

# Texts of one and of many tokens, rows with one and with several of them, filled to different lengths. The first row
# is longer than any of the bodies has positions, which only a row of several texts may be.
LENGTHS = (40, 3, 25, 1, 17, 9, 2, 30)
ROWS = [[0, 1, 2], [7], [3, 4, 5, 6]]


@pytest.fixture(scope="module", params=FAMILIES)
def body(request, tmp_path_factory):
    torch.manual_seed(0)
    path = build_body(tmp_path_factory.mktemp("bodies") / request.param, request.param)
    return transformers.AutoModel.from_pretrained(path, local_files_only=True).eval()


def test_every_family_has_a_checkpoint_to_be_tested_on():
    assert set(FAMILIES) == set(BODIES)


def test_every_token_is_what_it_is_in_its_text_alone(body):
    texts, inputs = _layout(body)
    assert inputs[INPUT_IDS].shape[1] > body.config.max_position_embeddings
    hidden = _run(body, inputs).reshape(-1, HIDDEN)
    order = [text for row in ROWS for text in row]
    for text, index in zip(order, inputs[TOKEN_INDEX], strict=True):
        found = hidden[index[:LENGTHS[text]]]
        assert relative_error(found, _run_alone(body, texts[text])) < FP32_RELATIVE_ERROR, text


def test_one_text_too_many_in_a_segment_would_show(body):
    texts, inputs = _layout(body)
    mixed = {**inputs, SEGMENT_IDS: np.where(inputs[SEGMENT_IDS] == 1, 0, inputs[SEGMENT_IDS])}
    hidden = _run(body, mixed).reshape(-1, HIDDEN)
    assert relative_error(hidden[inputs[TOKEN_INDEX][0]], _run_alone(body, texts[0])) > 0.01


def test_what_stands_in_padded_places_does_not_matter(body):
    _, inputs = _layout(body)
    padding = inputs[SEGMENT_IDS] == -1
    assert padding.any(axis=1).tolist() == [True, True, True]
    changed = {**inputs, INPUT_IDS: np.where(padding, 7, inputs[INPUT_IDS]),
               POSITION_IDS: np.where(padding, 3, inputs[POSITION_IDS])}
    assert relative_error(_run(body, changed)[~padding], _run(body, inputs)[~padding]) < FP32_RELATIVE_ERROR


def test_padding_gives_numbers_even_where_a_row_is_nothing_else(body):
    _, inputs = _layout(body)
    empty = {**inputs, SEGMENT_IDS: inputs[SEGMENT_IDS].copy()}
    empty[SEGMENT_IDS][1] = -1
    assert np.isfinite(_run(body, empty)).all()


def _layout(body) -> tuple[list[list[int]], dict[str, np.ndarray]]:
    texts = random_texts(LENGTHS, body.config.vocab_size)
    return texts, graph_inputs(texts, ROWS, body.config.pad_token_id)


def _run(body, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the hidden states of packed rows, float32 [rows, row_tokens, hidden]."""
    tensors = (torch.from_numpy(inputs[name]) for name in (INPUT_IDS, POSITION_IDS, SEGMENT_IDS))
    with torch.no_grad():
        return run_packed(body, *tensors).numpy()


def _run_alone(body, ids: list[int]) -> np.ndarray:
    """Return the hidden states of one text as transformers computes them, float32 [tokens, hidden]."""
    tokens = torch.tensor([ids])
    with torch.no_grad():
        return body(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state[0].numpy()
