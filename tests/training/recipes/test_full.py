from dataclasses import replace

import numpy as np
import pytest

from training.errors import TrainingError
from training.recipes.full import _FineTuning, train_full
from training.recipes.head import train_head
from training.recipes.recipe import Part, validation_score


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


def test_the_last_good_epoch_is_given_back_and_no_more_are_trained_once_it_is_long_ago(make_task, monkeypatch):
    scores = iter([0.5, 0.9, 0.2, 0.88, 0.3, 0.3, 0.9])
    monkeypatch.setattr("training.recipes.full.validation_score", lambda *_: next(scores))
    task = make_task(epochs=30, patience=2)
    outcome = train_full(task)
    assert [row["macro_f1"] for row in outcome.history] == [0.5, 0.9, 0.2, 0.88, 0.3, 0.3]
    monkeypatch.undo()
    again = make_task(epochs=30, patience=2)
    assert outcome.head.weight.numpy() == pytest.approx(_last_average(again, epochs=4)["head.weight"].numpy())
    found = validation_score(outcome.head.logits(task.encoder.embed(task.validation.texts)), task.validation.targets)
    assert found > 0.3


def test_without_validation_examples_the_last_epoch_is_given_back(make_task):
    whole = make_task(epochs=5, patience=1)
    task = replace(whole, validation=Part((), whole.validation.targets[:0]))
    outcome = train_full(task)
    assert len(outcome.history) == 5
    again = make_task(epochs=5, patience=1)
    assert outcome.head.weight.numpy() == pytest.approx(_last_average(again, epochs=5)["head.weight"].numpy())


def _last_average(task, epochs):
    """Return the average after so many epochs."""
    run = _FineTuning(task)
    run.begin(train_head(task).head)
    for _ in range(epochs * run._steps_per_epoch):
        run.train_step()
    return run._average


def test_the_average_is_of_all_steps_and_the_late_ones_count_more(make_task):
    task = make_task()
    run = _FineTuning(task)
    run.begin(task.start)
    seen = [run._copy_weights()]
    for _ in range(6):
        run.train_step()
        seen.append(run._copy_weights())
    counts = [(step + 1) * (step + 2) for step in range(7)]
    for name, average in run._average.items():
        expected = sum(count * weights[name] for count, weights in zip(counts, seen, strict=True)) / sum(counts)
        assert average.numpy() == pytest.approx(expected.numpy(), abs=1e-6)


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
