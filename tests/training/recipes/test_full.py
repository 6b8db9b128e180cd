import numpy as np
import pytest

from training.errors import TrainingError
from training.recipes.full import _FineTuning, train_full
from training.recipes.recipe import validation_score


def test_every_epoch_shows_every_example_once_in_another_order(make_task):
    run = _FineTuning(make_task(batch_size=4))
    first, second = run._batches(0), run._batches(1)
    for batches in (first, second):
        assert sorted(np.concatenate(batches).tolist()) == list(range(45))
        assert len(batches) == 12
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]


def test_texts_of_a_batch_are_about_equally_long(make_task):
    run = _FineTuning(make_task(batch_size=4))
    run._lengths = np.random.default_rng(0).integers(1, 50, 45)
    spreads = [np.ptp(run._lengths[batch]) for batch in run._batches(0)]
    assert np.mean(spreads) < 10


def test_the_best_epoch_is_given_back_and_no_more_are_trained_once_it_is_long_ago(make_task):
    task = make_task(epochs=30, patience=2, encoder_learning_rate=1e-3)
    outcome = train_full(task)
    scores = [row["macro_f1"] for row in outcome.history]
    assert len(scores) == int(np.argmax(scores)) + 3
    found = validation_score(outcome.head.logits(task.encoder.embed(task.validation.texts)), task.validation.targets)
    assert found == pytest.approx(max(scores))


def test_layers_far_from_the_head_learn_more_slowly_and_word_embeddings_not_at_all(make_task):
    task = make_task(layer_decay=0.5, encoder_learning_rate=1.0)
    names = {id(parameter): name for name, parameter in task.encoder.model.named_parameters()}
    rates = {names.get(id(group["params"][0]), "head"): group["full_lr"]
             for group in _FineTuning(task)._optimizer.param_groups}
    of_part = {part: {rate for name, rate in rates.items() if part in name}
               for part in ("layer.1.", "layer.0.", "position_embeddings", "word_embeddings")}
    assert of_part == {"layer.1.": {1.0}, "layer.0.": {0.5}, "position_embeddings": {0.25}, "word_embeddings": set()}
    assert rates["head"] == task.plan.head_learning_rate


def test_the_learning_rate_rises_then_falls_to_nearly_nothing(make_task):
    run = _FineTuning(make_task(epochs=10, warmup_share=0.2))
    factors = []
    for step in range(run._steps):
        run._step = step
        factors.append(run._learning_rate_factor())
    peak = int(np.argmax(factors))
    assert 0.1 * run._steps < peak < 0.25 * run._steps
    assert factors[:peak + 1] == sorted(factors[:peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert 0 < factors[-1] < 0.1


def test_a_loss_that_is_no_number_stops_the_training(make_task):
    task = make_task()
    next(task.encoder.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss of step 1 is nan"):
        _FineTuning(task).train_step()
