"""Which stage answers, and that a stage that fails costs nobody the answer."""

import pytest

from control_plane.errors import InferenceTimeoutError, TritonUnavailableError
from control_plane.intents.keyword_rules import KeywordMatcher, KeywordRule
from control_plane.recognition.cascade import Cascade
from control_plane.recognition.recognition import Recognition, Scores
from control_plane.tuning_errors import LlmAnswerError

QUESTION = "我今年财运怎么样，会升职吗"
RULES = [KeywordRule(1, "财运", "wealth", 0.9), KeywordRule(2, "升职", "career", 0.5)]
THRESHOLDS = {"wealth": 0.5, "career": 0.4, "love": 0.7}


class Rules:
    """Rules in force, without a database."""

    def active(self) -> KeywordMatcher:
        return KeywordMatcher(RULES)


def says(answer):
    """A stage that answers `answer`, or raises it."""
    def ask(question: str, version: int | None = None):
        assert question.startswith(QUESTION[:2])
        if isinstance(answer, Exception):
            raise answer
        return answer
    return ask


def scores(**given: float) -> Scores:
    return Scores({**dict.fromkeys(THRESHOLDS, 0.1), **given}, THRESHOLDS, "7")


def recognize(model, llm=None, question=QUESTION):
    return Cascade(says(model), Rules(), 0.6, None if llm is None else says(llm)).recognize(question)


def test_the_model_answers_where_labels_reach_their_thresholds_the_surest_first():
    found = recognize(scores(career=0.45, wealth=0.8, love=0.69), llm=AssertionError("is not asked"))
    assert list(found.intents.items()) == [("wealth", 0.8), ("career", 0.45)]
    assert (found.method, found.confidence, found.model.model_version) == ("local_model", 0.8, "7")
    assert found.rule_ids == (1, 2)


def test_rules_answer_where_no_label_reaches_its_threshold():
    found = recognize(scores(love=0.69), llm=AssertionError("is not asked"))
    assert (dict(found.intents), found.method) == ({"wealth": pytest.approx(0.9)}, "keyword_fallback")
    assert found.model.scores["love"] == 0.69


@pytest.mark.parametrize("error", [TritonUnavailableError("gone"), InferenceTimeoutError("slow")])
def test_rules_answer_where_the_model_fails_and_the_answer_says_so(error):
    found = recognize(error)
    assert (dict(found.intents), found.method) == ({"wealth": pytest.approx(0.9)}, "keyword_fallback")
    assert found.model is None
    assert list(found.failed_stages) == ["local_model"]


def test_a_language_model_answers_where_neither_is_sure():
    found = recognize(scores(), llm=["love"], question="我今天想吃面")
    assert (dict(found.intents), found.method, found.called_llm) == ({"love": 1.0}, "llm_fallback", True)
    assert recognize(scores(), llm=[], question="我今天想吃面").intents == {}


def test_a_language_model_that_fails_leaves_the_question_out_of_scope():
    found = recognize(scores(love=0.3), llm=LlmAnswerError("garbage"), question="我今天想吃面")
    assert (dict(found.intents), found.method, found.called_llm) == ({}, "local_model", True)
    assert found.failed_stages == {"llm_fallback": "llm-answer"}
    assert found.confidence == pytest.approx(0.7)


def test_without_a_language_model_the_model_says_how_sure_it_is_that_nothing_holds():
    found = recognize(scores(love=0.3), question="我今天想吃面")
    assert (dict(found.intents), found.method, found.called_llm) == ({}, "local_model", False)
    assert found.confidence == pytest.approx(0.7)


def test_when_everything_fails_nothing_is_claimed():
    found = recognize(TritonUnavailableError("gone"), llm=TritonUnavailableError("gone"), question="我今天想吃面")
    assert (dict(found.intents), found.confidence) == ({}, 0.0)
    assert set(found.failed_stages) == {"local_model", "llm_fallback"}


def tried(treatment, control) -> tuple[Recognition, list[int]]:
    """What comes of a question whose treatment, version 2, answers so, and whose control, version 1, answers so."""
    asked = []

    def score(question: str, version: int):
        asked.append(version)
        return says({1: control, 2: treatment}[version])(question)

    return Cascade(score, Rules(), 0.6, None).recognize(QUESTION, 1, 2), asked


def test_a_treatment_answers_in_place_of_the_control():
    found, asked = tried(scores(love=0.9), AssertionError("is not asked"))
    assert (dict(found.intents), asked, found.failed_stages) == ({"love": 0.9}, [2], {})


def test_where_a_treatment_fails_the_control_answers_and_the_answer_says_so():
    found, asked = tried(InferenceTimeoutError("slow"), scores(wealth=0.8))
    assert (dict(found.intents), found.method, asked) == ({"wealth": 0.8}, "local_model", [2, 1])
    assert found.failed_stages == {"treatment_model": "inference-timeout"}
