"""The queue gives each question to one person, mixes its slices, and offers no wording twice."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from control_plane.database.schema import utc_now
from control_plane.labelling import queue as queue_module
from control_plane.labelling.annotations import Annotations
from control_plane.labelling.queue import LabelQueue
from control_plane.labelling.tables import (
    DISPUTED,
    DIVERSE,
    RANDOM,
    SLICES,
    UNCERTAIN,
    LabelLeaseRow,
    PropagationRow,
)
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.tables import QuestionRow


@pytest.fixture
def queue(database, taxonomy):
    return LabelQueue(database)


@pytest.fixture
def annotations(database, taxonomy):
    return Annotations(database, blind_share=0.0)


def ids(page):
    return [item.question.id for item in page]


def run_out(database):
    with database.write() as session:
        session.execute(update(LabelLeaseRow).values(expires_at=utc_now() - timedelta(seconds=1)))


def test_an_empty_queue_gives_nothing(queue):
    assert queue.page("ann", 10) == []


def test_two_people_never_get_the_same_question_and_one_gets_theirs_again(queue, ask, database):
    asked = ask(*(f"问题{number}" for number in range(30)))
    ann, bob = queue.page("ann", 10), queue.page("bob", 15)
    assert len(set(ids(ann) + ids(bob))) == 25
    assert ids(queue.page("ann", 10)) == ids(ann)
    assert ids(queue.page("ann", 4)) == ids(ann)[:4]
    assert set(ids(queue.page("cid", 10))) == set(asked) - set(ids(ann)) - set(ids(bob))
    assert queue.page("dan", 10) == []
    run_out(database)
    assert len(queue.page("dan", 30)) == 30


def test_pages_follow_each_other_by_the_last_lease(queue, ask):
    ask(*(f"问题{number}" for number in range(25)))
    pages, after = [], 0
    while page := queue.page("ann", 10, after):
        pages.append(ids(page))
        after = page[-1].lease_id
    assert [len(page) for page in pages] == [10, 10, 5]
    assert len({question for page in pages for question in page}) == 25
    assert ids(queue.page("ann", 25)) == [question for page in pages for question in page]


def test_a_lease_lasts_from_the_last_time_that_its_owner_asked(queue, ask, database):
    ask("甲")
    run_out_at = queue.page("ann", 1)[0].expires_at
    assert queue.page("ann", 1)[0].expires_at > run_out_at


def test_a_page_mixes_the_uncertain_the_diverse_and_the_random(queue, ask):
    """The order of uncertainty is that of asking, and random keys run the other way."""
    asked = ask(*({"question": f"{chr(0x4e00 + 7 * number) * 5}", "random_key": 1 - (number + 1) / 300}
                  for number in range(300)))
    page = queue.page("ann", 50)
    counts = {name: sum(item.slice == name for item in page) for name in SLICES}
    assert (counts[UNCERTAIN], counts[DIVERSE], counts[RANDOM]) == (30, 10, 10)
    assert {item.question.id for item in page if item.slice == RANDOM} == set(asked[-10:])
    uncertain = {item.question.id for item in page if item.slice == UNCERTAIN}
    assert uncertain <= set(asked[:40])


def test_the_diverse_slice_has_one_question_of_each_group_of_near_duplicates(queue, ask, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.sampling.DIVERSE_SHARE", 1.0)
    monkeypatch.setattr("control_plane.labelling.sampling.RANDOM_SHARE", 0.0)
    near = ask(*(f"请问我今年的财运到底怎么样呢{mark}" for mark in "吗吧啊呀嘛"))
    others = ask("孩子高考能考上吗", "什么时候能结婚")
    page = queue.page("ann", 3)
    assert [item.slice for item in page] == [DIVERSE] * 3
    assert len(set(ids(page)) & set(near)) == 1
    assert set(ids(page)) >= set(others)


def test_one_of_exact_duplicates_stands_for_all_also_for_another_person(queue, ask):
    same = ask(*["甲"] * 40)
    other, = ask({"question": "乙", "uncertainty": 0.99, "random_key": 0.99})
    page = queue.page("ann", 10)
    assert len(page) == 2
    assert other in ids(page)
    assert len(set(ids(page)) & set(same)) == 1
    assert queue.page("bob", 10) == []


def test_many_duplicates_of_a_doubtful_question_do_not_hide_the_others(queue, ask):
    ask(*({"question": "甲", "uncertainty": 0.001, "random_key": 0.5} for _ in range(100)))
    others = ask(*({"question": f"问题{number}", "random_key": 0.6 + number / 100} for number in range(5)))
    assert set(ids(queue.page("ann", 6))) > set(others)


def test_what_waits_though_its_words_are_decided_is_never_given_out_and_marked_next(
        queue, annotations, ask, database, propagate):
    """As after a controller that was killed between a question's arrival and its mark."""
    question, skipped = ask("甲", "乙")
    annotations.label(question, ["wealth"], None, "ann")
    annotations.skip(skipped, "ann")
    later, later_skipped, new = ask("甲", "乙", "丙")
    assert ids(queue.page("bob", 10)) == ids(queue.page("bob", 10)) == [new]
    propagate()
    with database.read() as session:
        assert session.get(QuestionRow, later).correct_intent == ["wealth"]
        assert session.get(QuestionRow, later_skipped).training_status == "skipped"


def test_a_page_has_words_marked_that_are_not_being_marked_already(queue, annotations, ask, database):
    annotations.label(*ask("甲"), ["wealth"], None, "ann")
    ask(*["甲"] * 5)
    for _ in range(3):
        assert queue.page("bob", 10) == []
    with database.read() as session:
        assert [row.fingerprint for row in session.scalars(select(PropagationRow))] == ["甲"]


def test_duplicates_of_a_disputed_question_wait_for_its_review(queue, ask, propagate, database):
    people = Annotations(database, blind_share=1.0)
    question, = ask("甲")
    people.label(question, ["wealth"], None, "ann")
    assert ids(queue.page("bob", 10)) == [question]
    people.label(question, ["love"], None, "bob")
    later, other = ask("甲", "乙")
    assert ids(queue.page("cid", 10)) == [other]
    propagate()
    assert people.find(later).state == DISPUTED
    people.label(question, ["love"], None, "ann", is_review=True)
    propagate()
    assert people.find(later).correct_intent == ["love"]


def test_many_late_duplicates_leave_the_diverse_slice_something_to_choose_from(queue, annotations, ask):
    annotations.label(*ask("甲"), ["wealth"], None, "ann")
    ask(*({"question": "甲", "random_key": 0.0} for _ in range(150)))
    ask(*({"question": f"{chr(0x4e00 + 7 * number) * 5}", "random_key": 0.5} for number in range(100)))
    assert sum(item.slice == DIVERSE for item in queue.page("ann", 50)) == 10


def test_a_wording_that_many_ask_leaves_the_diverse_slice_something_to_choose_from(queue, ask):
    ask(*({"question": "甲", "random_key": 0.0} for _ in range(150)))
    ask(*({"question": f"{chr(0x4e00 + 7 * number) * 5}", "random_key": 0.5} for number in range(100)))
    assert sum(item.slice == DIVERSE for item in queue.page("ann", 50)) == 10


def test_what_is_labelled_skipped_disputed_or_erased_is_not_given_out(queue, database, taxonomy, ask):
    annotations = Annotations(database, blind_share=1.0)
    labelled, disputed, skipped, _ = ask("甲", "乙", "丙", {"question": "丁", "subject_digest": "somebody"})
    assert len(queue.page("ann", 10)) == 4
    QuestionStore(database).erase_subject("somebody")
    assert len(queue.page("ann", 10)) == 3
    for question in (labelled, disputed):
        annotations.label(question, ["wealth"], None, "ann")
    annotations.skip(skipped, "ann")
    assert queue.page("ann", 10) == []
    assert set(ids(queue.page("bob", 10))) == {labelled, disputed}
    annotations.label(disputed, ["love"], None, "bob")
    annotations.label(labelled, ["wealth"], None, "bob")
    for labeler in ("ann", "bob", "cid"):
        assert queue.page(labeler, 10) == []


def test_a_question_is_given_for_a_second_opinion_to_one_other_person_and_looks_as_it_did(queue, database, ask):
    Annotations(database, blind_share=1.0).label(*ask("甲"), ["wealth"], None, "ann")
    assert queue.page("ann", 5) == []
    given, = queue.page("bob", 5)
    assert given.slice in (None, *SLICES)
    assert queue.page("cid", 5) == []


def test_second_opinions_are_a_tenth_of_a_page_while_others_wait(queue, database, ask):
    both = Annotations(database, blind_share=1.0)
    first = ask(*(f"旧{number}" for number in range(10)))
    for question in first:
        both.label(question, ["wealth"], None, "ann")
    ask(*(f"问题{number}" for number in range(40)))
    page = ids(queue.page("bob", 20))
    assert len(page) == 20
    assert len(set(page) & set(first)) == 2


def test_of_many_who_ask_at_once_everybody_gets_their_own(queue, ask):
    ask(*(f"问题{number}" for number in range(60)))
    barrier, pages = threading.Barrier(4), []

    def take(labeler: str) -> None:
        barrier.wait(30)
        pages.append(ids(queue.page(labeler, 10)))

    threads = [threading.Thread(target=take, args=(f"person{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    given = [question for page in pages for question in page]
    assert len(pages) == 4
    assert len(given) == len(set(given)) == 40


def test_nobody_can_keep_the_whole_queue(queue, ask, monkeypatch):
    monkeypatch.setattr(queue_module, "MAX_OPEN", 5)
    ask(*(f"问题{number}" for number in range(10)))
    page = queue.page("ann", 8)
    assert len(page) == 5
    assert queue.page("ann", 8, page[-1].lease_id) == []
    assert len(queue.page("bob", 8)) == 5
