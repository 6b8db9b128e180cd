import threading

import pytest

from control_plane.observability.request_context import (
    begin_request,
    current_request,
    current_request_id,
    end_request,
    note_model,
)


@pytest.fixture(autouse=True)
def no_request():
    yield
    end_request()


@pytest.mark.parametrize("given", ["a", "A-b.c_9", "x" * 128])
def test_a_sane_id_is_taken_over(given):
    assert begin_request(given).request_id == given
    assert current_request_id() == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\nb", "é", "a/b", 'a"b', "a\n"])
def test_any_other_id_is_replaced_by_a_new_one(given):
    first, second = begin_request(given).request_id, begin_request(given).request_id
    assert given != first != second
    assert len(first) == 32


def test_outside_of_a_request_there_is_no_id_and_nothing_is_noted():
    note_model("tiny")
    assert current_request() is None
    assert current_request_id() == ""


def test_the_model_is_kept_with_the_request_until_it_ends():
    begin_request("a")
    note_model("tiny")
    assert current_request().model == "tiny"
    end_request()
    assert current_request() is None


def test_threads_have_requests_of_their_own():
    begin_request("a")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(current_request_id()))
    thread.start()
    thread.join()
    assert seen == [""]
