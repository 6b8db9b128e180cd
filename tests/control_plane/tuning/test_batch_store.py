"""What a batch leaves behind is written in one transaction: version, frozen splits, scores, used questions."""

import pytest
from sqlalchemy import select

from control_plane.database.schema import utc_now
from control_plane.labelling.tables import OutOfFoldScoreRow
from control_plane.tuning.tables import SUCCEEDED, ModelVersionRow
from control_plane.tuning_errors import ModelVersionNotFoundError


def version(batch_id: str, number: int, verdict: str = "pass") -> ModelVersionRow:
    return ModelVersionRow(version=f"intent-{number}", triton_version=number, model_path="/x", is_active=False,
                           training_batch_id=batch_id, metrics={"macro_f1": 0.9}, verdict=verdict,
                           gate={"verdict": verdict}, created_at=utc_now())


def test_training_data_are_the_labelled_questions_with_their_counts(store, label):
    label(2, "wealth")
    label(1, "love", "wealth")
    label(1)
    data = store.read_training_data()
    assert data.labels == ("wealth", "love", "health")
    assert data.counts() == {"wealth": 3, "love": 1, "health": 0, "(out of scope)": 1}
    assert {example.split for example in data.examples} == {None}


def test_a_finished_batch_has_its_version_and_its_questions_are_used_with_frozen_splits(store, label, database):
    ids = label(3, "wealth")
    batch = store.add("first", "head", "anna")
    assert store.count_new_labels() == 3
    scores = {question: {"wealth": 0.1, "love": 0.9, "health": 0.0} for question in ids}
    store.finish(batch.batch_id, version(batch.batch_id, 1), {ids[0]: "test", ids[1]: "train"}, scores, ids)
    assert store.count_new_labels() == 0
    found = store.find(batch.batch_id)
    assert (found.training_status, found.model_version, found.metrics) == (SUCCEEDED, "intent-1", {"macro_f1": 0.9})
    assert {example.id: example.split for example in store.read_training_data().examples} == {
        ids[0]: "test", ids[1]: "train", ids[2]: None}
    with database.read() as session:
        assert {row.question_id: row.scores for row in session.scalars(select(OutOfFoldScoreRow))} == scores


def test_finishing_twice_changes_nothing(store, label):
    ids = label(2, "wealth")
    batch = store.add("first", "head", "anna")
    for _ in range(2):
        store.finish(batch.batch_id, version(batch.batch_id, 1), {ids[0]: "test"}, {}, ids)
    assert [row.version for row in store.versions(10)] == ["intent-1"]


def test_one_version_is_active_at_most(store, label):
    for number in (1, 2):
        batch = store.add(f"{number}", "head", "anna")
        store.finish(batch.batch_id, version(batch.batch_id, number), {}, {}, [])
    for active in (1, 2, 2, None):
        store.mark_active(active)
        assert [row.triton_version for row in store.versions(10) if row.is_active] == ([active] if active else [])
    assert all(row.activated_at is not None for row in store.versions(10))


def test_an_unknown_version_is_not_found(store, taxonomy):
    with pytest.raises(ModelVersionNotFoundError, match="intent-9"):
        store.find_version("intent-9")


def test_batches_are_paged_newest_first(store, taxonomy):
    made = [store.add(str(number), "head", "anna").batch_id for number in range(3)]
    first = store.page(2)
    # Those of one millisecond are in any order, which is the same in every page.
    assert [row.batch_id for row in [*first, *store.page(2, first[-1].batch_id)]] == sorted(made, reverse=True)
