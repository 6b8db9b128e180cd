import pytest
import torch

from training.recipes.head import choose_head, train_head


def test_the_head_with_the_best_validation_score_is_chosen(make_task):
    task = make_task()
    fitted, validation = (task.encoder.embed(part.texts) for part in (task.fit, task.validation))
    told = []
    outcome = choose_head(task, fitted, validation, lambda *report: told.append(report))
    scores = [row["macro_f1"] for row in outcome.history]
    assert len({row["penalty"] for row in outcome.history}) == len(scores) == len(told)
    assert told[-1][0] == 1.0
    assert f"{scores[-1]:.4f}" in told[-1][1]


def test_the_encoder_is_left_as_it_was(make_task):
    task = make_task()
    before = {name: tensor.clone() for name, tensor in task.encoder.model.state_dict().items()}
    outcome = train_head(task)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.encoder.model.state_dict().items())
    assert max(row["macro_f1"] for row in outcome.history) == pytest.approx(1, abs=0.2)
