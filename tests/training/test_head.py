import torch

from training.head import first_head, fit_head

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDINGS = torch.nn.functional.normalize(torch.randn(60, 8, generator=GENERATOR), dim=1)
TARGETS = (EMBEDDINGS[:, :2] > 0.2).float()


def test_known_labels_bring_their_weights_and_new_ones_begin_unlikely():
    head = first_head(("new", "old"), 3, {"old": (torch.tensor([1.0, 2, 3]), 0.5), "gone": (torch.ones(3), 1.0)})
    assert head.weight.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert head.bias.tolist() == [-3.0, 0.5]


def test_a_fitted_head_decides_as_it_was_taught_and_the_start_is_left_as_it_was():
    start = first_head(("a", "b"), 8, {})
    head = fit_head(EMBEDDINGS, TARGETS, torch.ones(2), start, 1e-5)
    assert ((head.logits(EMBEDDINGS) > 0).float() == TARGETS).float().mean() > 0.95
    assert not start.weight.any()


def test_a_penalty_keeps_weights_small():
    start = first_head(("a", "b"), 8, {})
    loose, tight = (fit_head(EMBEDDINGS, TARGETS, torch.ones(2), start, penalty).weight.norm().item()
                    for penalty in (1e-5, 1e-1))
    assert tight < loose / 3


def test_fitting_repeats():
    start = first_head(("a", "b"), 8, {})
    first, second = (fit_head(EMBEDDINGS, TARGETS, torch.ones(2), start, 1e-4) for _ in range(2))
    assert first.weight.tolist() == second.weight.tolist()


def test_embeddings_that_lie_close_together_are_told_apart_as_well():
    close = torch.nn.functional.normalize(EMBEDDINGS * 0.1 + torch.ones(8), dim=1)
    head = fit_head(close, TARGETS, torch.ones(2), first_head(("a", "b"), 8, {}), 1e-5)
    assert ((head.logits(close) > 0).float() == TARGETS).float().mean() > 0.9


def test_the_start_changes_little_of_what_is_found():
    cold = first_head(("a", "b"), 8, {})
    warm = fit_head(EMBEDDINGS, TARGETS, torch.ones(2), cold, 1e-2)
    first, second = (fit_head(EMBEDDINGS, TARGETS, torch.ones(2), start, 1e-3).logits(EMBEDDINGS)
                     for start in (cold, warm))
    assert (first - second).abs().max() < 0.1
