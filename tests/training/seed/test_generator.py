import re

import pytest

from training.seed import generator
from training.seed.generator import OUT_SHARE, PAIR_SHARE, generate
from training.seed.seed_files import Templates, read_questions, read_taxonomy

MANY = generate(4000, seed=1)


def test_the_same_seed_gives_the_same_questions_and_more_of_them_begin_alike():
    assert generate(300, seed=1) == MANY[:300]
    assert generate(300, seed=2) != generate(300, seed=1)


def test_texts_and_ids_are_there_once_and_no_slot_is_left_open():
    assert len({question.text for question in MANY}) == len({question.id for question in MANY}) == 4000
    assert not any(re.search("[{}]", question.text) for question in MANY)


def test_two_seeds_and_the_hand_written_set_hardly_meet():
    texts = {question.text for question in MANY}
    others = {question.text for question in generate(4000, seed=2)}
    assert len(texts & others) / 4000 < 0.02
    assert texts.isdisjoint(question.text for question in read_questions())


def test_every_intent_and_out_of_scope_have_about_their_share():
    out = sum(not question.labels for question in MANY) / 4000
    pairs = sum(len(question.labels) == 2 for question in MANY) / 4000
    assert out == pytest.approx(OUT_SHARE, abs=0.03)
    assert pairs == pytest.approx(PAIR_SHARE, abs=0.03)
    for intent in read_taxonomy():
        assert sum(question.labels == (intent.name,) for question in MANY) > 200


def test_labels_are_those_of_the_parts_in_the_order_of_the_taxonomy():
    order = [intent.name for intent in read_taxonomy()]
    slots = generator.read_templates().slots
    for question in MANY:
        assert list(question.labels) == sorted(question.labels, key=order.index)
        for intent in question.labels:
            assert any(part in question.text for kind in ("noun", "event", "worry")
                       for part in slots[f"{kind}_{intent}"]), question


def test_more_than_the_templates_have_is_refused(monkeypatch):
    monkeypatch.setattr(generator, "read_templates", lambda: Templates({}, ("one",), ("one",), ("one", "two")))
    with pytest.raises(ValueError, match="do not give 3 different questions; they gave 2"):
        generate(3, seed=1)
