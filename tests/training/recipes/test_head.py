from itertools import pairwise

import numpy as np
import pytest
import torch

from training.calibration import mean_loss
from training.recipes.head import choose_head, train_head


def test_the_penalty_with_the_lowest_loss_held_out_is_chosen(make_task):
    task = make_task()
    told = []
    outcome = choose_head(task, task.encoder.embed(task.fit.texts), lambda *report: told.append(report))
    losses = [row["loss"] for row in outcome.history]
    assert mean_loss(outcome.held_out, task.fit.targets.numpy() > 0) == pytest.approx(min(losses))
    assert f"penalty {outcome.history[int(np.argmin(losses))]['penalty']:g} fitted to all" in told[-1][1]
    assert all(following < before for before, following in pairwise(losses[:-1]))
    assert told[-1][0] == 1.0


def test_held_out_logits_are_right_of_what_can_be_learnt_and_less_sure_than_those_of_the_head(make_task):
    task = make_task()
    embeddings = task.encoder.embed(task.fit.texts)
    outcome = choose_head(task, embeddings, lambda *report: None)
    truth = task.fit.targets.numpy() > 0
    assert ((outcome.held_out > 0) == truth).mean() > 0.9
    assert mean_loss(outcome.head.logits(embeddings).numpy(), truth) < mean_loss(outcome.held_out, truth)


def test_a_label_that_is_wrong_is_not_seen_by_the_head_that_is_asked(make_task):
    """A head that saw the example would follow its label at so small a penalty."""
    task = make_task()
    task.fit.targets[0] = 1 - task.fit.targets[0]
    outcome = choose_head(task, task.encoder.embed(task.fit.texts), lambda *report: None)
    assert (outcome.held_out[0] > 0).tolist() != (task.fit.targets[0] > 0).tolist()


def test_the_encoder_is_left_as_it_was(make_task):
    task = make_task()
    before = {name: tensor.clone() for name, tensor in task.encoder.model.state_dict().items()}
    outcome = train_head(task)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.encoder.model.state_dict().items())
    assert max(row["macro_f1"] for row in outcome.history) == pytest.approx(1, abs=0.2)
