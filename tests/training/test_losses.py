import pytest
import torch
from torch.nn import functional

from training.losses import intent_loss, label_weights, sigmoid_loss

TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
EQUAL = torch.ones(3)


def test_one_label_each_is_sigmoid_and_softmax_cross_entropy_together():
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    expected = (functional.cross_entropy(logits, torch.tensor([0, 1, 0]), label_smoothing=0.1)
                + functional.binary_cross_entropy_with_logits(logits, TARGETS[:3], reduction="sum") / 3)
    assert intent_loss(logits, TARGETS[:3], EQUAL, 0.1).item() == pytest.approx(expected.item(), rel=1e-5)


def test_out_of_scope_examples_push_every_label_down():
    logits = torch.zeros(1, 3, requires_grad=True)
    intent_loss(logits, TARGETS[4:], EQUAL, 0.1).backward()
    assert (logits.grad > 0.4).all()


def test_several_labels_are_all_pulled_up():
    logits = torch.zeros(1, 3, requires_grad=True)
    intent_loss(logits, TARGETS[3:4], EQUAL, 0.0).backward()
    assert (logits.grad[0, :2] < 0).all()
    assert logits.grad[0, 2] > 0


def test_weights_even_out_intents_by_the_power():
    assert label_weights(TARGETS, 0.0).tolist() == [1, 1, 1]
    counts = torch.tensor([3.0, 2, 1])   # One that never occurs counts as once.
    assert label_weights(TARGETS, 1.0).tolist() == pytest.approx((counts.mean() / counts).tolist())


def test_an_example_counts_as_its_rarest_intent():
    weights = torch.tensor([1.0, 5.0, 1.0])
    logits = torch.zeros(2, 3, requires_grad=True)
    intent_loss(logits, TARGETS[:2], weights, 0.0).backward()
    assert logits.grad[1].norm().item() == pytest.approx(5 * logits.grad[0].norm().item(), rel=1e-5)


def test_the_sigmoid_loss_is_the_sigmoid_part_alone_with_rare_intents_counting_more():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    terms = functional.binary_cross_entropy_with_logits(logits, TARGETS, reduction="none").sum(dim=1)
    assert sigmoid_loss(logits, TARGETS, EQUAL).item() == pytest.approx(terms.mean().item())
    rows = torch.tensor([1.0, 3, 1, 3, 1])   # Of the second label, which counts three times.
    assert sigmoid_loss(logits, TARGETS, torch.tensor([1.0, 3, 1])).item() == pytest.approx(
        ((rows * terms).sum() / rows.sum()).item())
