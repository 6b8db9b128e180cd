"""A whole training: what it writes, that it repeats, resumes, extends, reports and refuses."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import expit
from sentence_transformers import SentenceTransformer

from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE
from tests.training.toy import base_of, quick_plan, silent, toy_examples, write_toy
from training import run
from training.checkpoint import read_card
from training.dataset import TEST, write_dataset
from training.errors import CheckpointError, TooFewExamplesError, TrainingError
from training.run import RECORD_FILE
from training.run import train as train_on_cores
from training.scoring import IntentClassifier
from training.splits import FIT, SPLITS_FILE


def train(*arguments, **options):
    """Train on one core: threads of a model so small would only wait for each other."""
    return train_on_cores(*arguments, **options, cores=1)


class Stopped(Exception):
    """Somebody cancelled."""


@pytest.fixture(scope="module")
def dataset_dir(tmp_path_factory):
    """A snapshot of three intents."""
    directory = tmp_path_factory.mktemp("data")
    write_toy(directory)
    return directory


@pytest.fixture(scope="module")
def trained(dataset_dir, small_checkpoint, tmp_path_factory):
    """{recipe: the directory of an unbroken training}."""
    folders = {recipe: tmp_path_factory.mktemp(recipe) / "out" for recipe in ("head", "full")}
    for recipe, folder in folders.items():
        train(dataset_dir, folder, quick_plan(recipe=recipe), silent, base_of(small_checkpoint))
    return folders


def weights(folder):
    """Return every weight of a checkpoint by name."""
    body = next((folder / ENCODER_FOLDER).rglob("model.safetensors"))
    return {**load_file(folder / HEAD_FILE), **load_file(body)}


def assert_same_weights(first, second):
    """Compare bit by bit."""
    first, second = weights(first), weights(second)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name


@pytest.mark.parametrize("recipe", ["head", "full"])
def test_the_checkpoint_has_learnt_and_says_what_it_is(trained, recipe, dataset_dir):
    card = read_card(trained[recipe])
    assert card.metrics["macro_f1"] > 0.8
    assert card.labels == ("wealth", "love", "health")
    assert card.base == {"source": "path:small", "revision": "r1"}
    assert card.dataset_sha256 == json.loads((dataset_dir / "dataset.json").read_text())["sha256"]
    head = load_file(trained[recipe] / HEAD_FILE)
    assert (head["weight"].shape, head["bias"].shape, head["weight"].dtype) == ((3, 32), (3,), np.float32)


def test_scores_are_the_documented_function_of_the_documented_files(trained):
    folder, texts = trained["full"], ["abcd", "ghij klgh", "0123"]
    card, head = read_card(folder), load_file(folder / HEAD_FILE)
    unit = SentenceTransformer(str(folder / ENCODER_FOLDER), device="cpu").encode(texts, normalize_embeddings=True)
    scores = expit((unit @ head["weight"].T + head["bias"]) / card.temperature)
    assert IntentClassifier(folder).score(texts) == pytest.approx(scores, abs=1e-5)


def test_head_leaves_the_encoder_alone_and_full_leaves_the_word_embeddings_alone(trained, small_checkpoint):
    before = load_file(small_checkpoint / "model.safetensors")
    by_head, by_full = weights(trained["head"]), weights(trained["full"])
    words = "embeddings.word_embeddings.weight"
    assert all(np.array_equal(array, by_head[name]) for name, array in before.items())
    assert np.array_equal(before[words], by_full[words])
    assert not np.array_equal(before["encoder.layer.0.output.dense.weight"],
                              by_full["encoder.layer.0.output.dense.weight"])


@pytest.mark.parametrize("recipe", ["head", "full"])
def test_the_same_seed_gives_the_same_weights(trained, recipe, dataset_dir, small_checkpoint, tmp_path):
    train(dataset_dir, tmp_path / "again", quick_plan(recipe=recipe), silent, base_of(small_checkpoint))
    assert_same_weights(trained[recipe], tmp_path / "again")


@pytest.mark.parametrize("stop_after", [1, 3, 4, 6, 9])
def test_a_broken_run_goes_on_and_ends_with_the_weights_of_an_unbroken_one(
        trained, dataset_dir, small_checkpoint, tmp_path, stop_after):
    """Saved every second step, broken before and after a save, at the end of an epoch and within one."""
    def stop(fraction: float, text: str) -> None:
        if text.startswith(f"step {stop_after} "):
            raise Stopped

    steps = []
    arguments = dataset_dir, tmp_path / "out", quick_plan(save_every_steps=2)
    with pytest.raises(Stopped):
        train(*arguments, stop, base_of(small_checkpoint))
    assert not (tmp_path / "out" / INTENT_FILE).exists()
    train(*arguments, lambda fraction, text: steps.append(text), base_of(small_checkpoint))
    first = next(text for text in steps if text.startswith("step "))
    saved = max(stop_after - 1, 0) // 2 * 2
    assert first.startswith(f"step {saved + 1} ")
    assert_same_weights(trained["full"], tmp_path / "out")
    assert not (tmp_path / "out" / ".state").exists()


def test_a_state_of_another_training_is_not_taken_over(dataset_dir, small_checkpoint, tmp_path):
    def stop(fraction: float, text: str) -> None:
        if text.startswith("step 5 "):
            raise Stopped

    steps = []
    with pytest.raises(Stopped):
        train(dataset_dir, tmp_path, quick_plan(save_every_steps=2), stop, base_of(small_checkpoint))
    train(dataset_dir, tmp_path, quick_plan(save_every_steps=2, seed=1, epochs=1),
          lambda fraction, text: steps.append(text), base_of(small_checkpoint))
    assert any(text.startswith("step 1 ") for text in steps)


def test_a_finished_training_is_returned_and_another_one_is_not_overwritten(trained, dataset_dir, small_checkpoint):
    arguments = dataset_dir, trained["head"]
    card = train(*arguments, quick_plan(recipe="head"), silent, base_of(small_checkpoint))
    assert card == read_card(trained["head"])
    with pytest.raises(TrainingError, match="another training"):
        train(*arguments, quick_plan(recipe="head", seed=1), silent, base_of(small_checkpoint))


def test_progress_rises_to_the_end_and_says_step_loss_validation_and_time_left(
        dataset_dir, small_checkpoint, tmp_path):
    told = []
    train(dataset_dir, tmp_path, quick_plan(), lambda *report: told.append(report), base_of(small_checkpoint))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    last_step = [text for _, text in told if text.startswith("step ")][-1]
    assert "loss" in last_step
    assert "on validation" in last_step
    assert "left" in last_step


def test_a_new_intent_extends_the_head_and_training_begins_with_the_old_one(
        trained, small_checkpoint, tmp_path, monkeypatch):
    begun = []
    recipe = run._RECIPES["head"]
    monkeypatch.setitem(run._RECIPES, "head", lambda task: begun.append(task.start) or recipe(task))
    labels = ("study", "love", "wealth")
    write_dataset(tmp_path / "data", labels, toy_examples(labels, seed=5))
    card = train(tmp_path / "data", tmp_path / "out", quick_plan(recipe="head"), silent, base_of(small_checkpoint),
                 previous=trained["full"])
    old, old_card = load_file(trained["full"] / HEAD_FILE), read_card(trained["full"])
    for label in ("love", "wealth"):
        row = old["weight"][old_card.labels.index(label)] / old_card.temperature
        assert begun[0].weight[labels.index(label)].numpy() == pytest.approx(row, rel=1e-5)
    assert not begun[0].weight[0].any()
    assert card.labels == labels
    assert card.metrics["macro_f1"] > 0.8
    assert_encoder_is_of(trained["full"], tmp_path / "out")
    record = json.loads((tmp_path / "out" / RECORD_FILE).read_text())
    assert record["facts"]["previous"]["dataset_sha256"] == old_card.dataset_sha256


def assert_encoder_is_of(first, second):
    """Compare the encoders alone."""
    expected, found = (load_file(folder / ENCODER_FOLDER / "model.safetensors") for folder in (first, second))
    assert all(np.array_equal(array, found[name]) for name, array in expected.items())


def test_what_is_needed_to_repeat_it_is_recorded(trained, dataset_dir):
    record = json.loads((trained["full"] / RECORD_FILE).read_text())
    assert record["facts"]["plan"]["seed"] == 0
    assert {"torch", "transformers"} <= record["facts"]["packages"].keys()
    rows = [json.loads(line) for line in (trained["full"] / SPLITS_FILE).read_text().splitlines()]
    assert sum(row["role"] == FIT for row in rows) == record["roles"][FIT]
    assert {row["split"] for row in rows if row["role"] == TEST} == {TEST}
    assert len(rows) == len((dataset_dir / "examples.jsonl").read_text().splitlines())


def test_too_few_examples_are_refused_with_the_counts(small_checkpoint, tmp_path):
    write_dataset(tmp_path / "data", ["wealth", "study"],
                  [*toy_examples(["wealth"]), *toy_examples(["study"], each=3, seed=1)])
    with pytest.raises(TooFewExamplesError, match=r"study: [0-3]"):
        train(tmp_path / "data", tmp_path / "out", quick_plan(), silent, base_of(small_checkpoint))
    assert not (tmp_path / "out").exists()


def test_a_base_that_is_no_checkpoint_is_refused(dataset_dir, tmp_path):
    with pytest.raises(CheckpointError, match="sentence-transformers checkpoint"):
        train(dataset_dir, tmp_path / "out", quick_plan(), silent, base_of(tmp_path))
