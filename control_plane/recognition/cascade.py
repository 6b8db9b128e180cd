"""Asks the local model, then the keyword rules, then a language model, until one is sure. Knows no HTTP and no log."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from control_plane.intents.keyword_rules import RuleMatch, score_intents
from control_plane.intents.live_rules import LiveRules
from control_plane.problems import problem_name
from control_plane.questions.tables import KEYWORD_FALLBACK, LLM_FALLBACK, LOCAL_MODEL
from control_plane.recognition.recognition import TREATMENT_MODEL, Recognition, Scores
from export.contract import ConchError

_LOG = logging.getLogger(__name__)


@dataclass
class _Course:
    """How far the recognition of one question has come."""

    matches: list[RuleMatch]
    model: Scores | None
    failed_stages: dict[str, str]

    def answer(self, intents: dict[str, float], confidence: float, method: str,
               called_llm: bool = False) -> Recognition:
        ids = tuple(sorted({match.rule.id for match in self.matches}))
        return Recognition(intents, confidence, method, self.model, ids, called_llm, self.failed_stages)


class Cascade:
    """The stages in their order. A stage that fails is passed over, and the answer says so."""

    def __init__(self, score: Callable[[str, int | None], Scores], rules: LiveRules, rule_threshold: float,
                 ask_llm: Callable[[str], list[str]] | None) -> None:
        """`score` asks a version of the local model, None being the active one, `ask_llm` the language model.

        Both raise ConchError when they fail.
        """
        self._score, self._rules, self._rule_threshold, self._ask_llm = score, rules, rule_threshold, ask_llm
        self._failing: dict[str, str] = {}  # stage -> the problem it was last seen with

    def recognize(self, question: str, version: int | None = None, treatment: int | None = None) -> Recognition:
        """Return what the first stage that is sure says; raises nothing that a stage raises.

        `version` of the local model answers, the active one where None is given. `treatment` is a version that is
        tried before it; where that fails, `version` answers as if nothing had been tried.
        """
        failed: dict[str, str] = {}
        model = None
        if treatment is not None:
            model = self._try(TREATMENT_MODEL, lambda: self._score(question, treatment), failed)
        if model is None:
            model = self._try(LOCAL_MODEL, lambda: self._score(question, version), failed)
        course = _Course(self._rules.active().match(question), model, failed)
        held = model.held() if model else {}
        if held:
            return course.answer(held, max(held.values()), LOCAL_MODEL)
        spoken_for = {intent: score for intent, score in sorted(
            score_intents(course.matches).items(), key=lambda item: -item[1]) if score >= self._rule_threshold}
        if spoken_for:
            return course.answer(spoken_for, max(spoken_for.values()), KEYWORD_FALLBACK)
        return self._last_resort(question, course)

    def _last_resort(self, question: str, course: _Course) -> Recognition:
        if self._ask_llm is not None:
            named = self._try(LLM_FALLBACK, lambda: self._ask_llm(question), course.failed_stages)
            if named is not None:
                # A language model states no probability; neither is made up here.
                return course.answer(dict.fromkeys(named, 1.0), 1.0, LLM_FALLBACK, called_llm=True)
        called = self._ask_llm is not None
        if course.model:
            return course.answer({}, 1 - max(course.model.scores.values(), default=0.0), LOCAL_MODEL, called)
        return course.answer({}, 0.0, KEYWORD_FALLBACK, called)

    def _try(self, stage: str, ask: Callable, failed: dict[str, str]):
        try:
            answer = ask()
        except ConchError as error:
            failed[stage] = problem_name(error)
            if self._failing.get(stage) != failed[stage]:  # An outage would write a line for each question.
                _LOG.warning("%s fails, the next stage answers until this ends: %s", stage, error)
            self._failing[stage] = failed[stage]
            return None
        self._failing.pop(stage, None)
        return answer
