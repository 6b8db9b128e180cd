"""What the gate measures, and what it lets through."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from export.decoder_builder import build_graph
from export.decoder_checkpoint import load_decoder, open_checkpoint
from export.decoder_prompts import quality_prompts
from export.decoder_quality import (
    BOUNDS,
    CONTINUATION_TOKENS,
    QualityBound,
    QualityFigures,
    QualityReference,
    find_shortfall,
    measure,
)
from export.errors import QualityError
from export.precision import PRECISIONS
from tests.export.decoders import build_decoder

GOOD = QualityFigures(agreement=0.99, divergence=0.001, perplexity_ratio=1.0, max_logit_difference=0.1, positions=9,
                      prompts=1)
BOUND = QualityBound(min_agreement=0.9, max_divergence=0.01, max_perplexity_ratio=1.1)


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A small checkpoint, its graph and the reference to compare it with."""
    home = tmp_path_factory.mktemp("quality")
    checkpoint = open_checkpoint(build_decoder(home / "checkpoint"), home / "scratch")
    build_graph(checkpoint, home / "graph", "fp32", "cpu")
    (home / "reference").mkdir()
    prompts = quality_prompts(checkpoint.tokenizer, 48)
    return home / "graph", QualityReference(load_decoder(checkpoint.path), prompts, home / "reference"), prompts


def test_the_same_weights_give_the_same_predictions_over_every_prompt_and_its_continuation(staged):
    graph, reference, prompts = staged
    figures = reference.compare(graph, prompts[0]).figures
    assert (figures.agreement, figures.prompts) == (1, len(prompts))
    assert figures.positions == sum(len(prompt) + CONTINUATION_TOKENS for prompt in prompts)
    assert find_shortfall(figures, BOUNDS["fp32"]) is None


def test_a_graph_that_does_not_run_is_no_export(staged, tmp_path):
    _, reference, prompts = staged
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(QualityError, match="the exported model does not run: "):
        reference.compare(tmp_path, prompts[0])


def test_a_device_that_is_not_here_is_named(staged):
    graph, reference, prompts = staged
    with pytest.raises(QualityError, match=r"has no CUDAExecutionProvider, only .*CPUExecutionProvider"):
        reference.compare(graph, prompts[0], "cuda")


def test_divergence_and_losses_are_those_of_torch():
    generator = np.random.default_rng(0)
    expected, found = generator.normal(0, 3, (2, 7, 11)).astype(np.float32)
    tokens = [int(number) for number in generator.integers(0, 11, 7)]
    figures = measure(expected, found, tokens)
    log_expected, log_found = (torch.log_softmax(torch.tensor(logits), -1) for logits in (expected, found))
    divergence = torch.nn.functional.kl_div(log_found, log_expected, reduction="sum", log_target=True)
    loss = torch.nn.functional.nll_loss(log_found[:-1], torch.tensor(tokens[1:]), reduction="sum")
    assert figures["divergence"] == pytest.approx(float(divergence), rel=1e-5)
    assert figures["exported_loss"] == pytest.approx(float(loss), rel=1e-5)
    assert figures["agreements"] == int((expected.argmax(1) == found.argmax(1)).sum())
    assert (figures["positions"], figures["predicted"]) == (7, 6)


@pytest.mark.parametrize(("field", "value", "words"), [
    ("agreement", 0.8, "most likely token at 80.0%"), ("divergence", 0.02, "KL divergence 0.0200, 0.01 allowed"),
    ("perplexity_ratio", 1.2, "1.200 times the original's"), ("divergence", math.nan, "KL divergence nan")])
def test_each_figure_can_refuse_an_export(field, value, words):
    assert find_shortfall(GOOD, BOUND) is None
    assert words in find_shortfall(dataclasses.replace(GOOD, **{field: value}), BOUND)


def test_every_precision_has_a_bound_and_wider_ones_have_narrower_bounds():
    assert set(BOUNDS) == set(PRECISIONS)
    assert BOUNDS["fp32"].max_divergence < BOUNDS["int8"].max_divergence < BOUNDS["int4"].max_divergence
