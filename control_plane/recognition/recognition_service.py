"""The use case of a question: recognise it, read its time, count it and take it down. Knows no HTTP."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from control_plane.experiments.traffic import ExperimentTraffic
from control_plane.experiments.trial import Trial
from control_plane.intents.live_rules import LiveRules
from control_plane.intents.rule_usage import UsageCounter
from control_plane.intents.time_intent import TimeIntent, parse_time_intent
from control_plane.questions.prediction import Prediction
from control_plane.questions.question_log import QuestionLog
from control_plane.recognition.cascade import Cascade
from control_plane.recognition.recognition import Recognition


@dataclass(frozen=True)
class RecognizedQuestion:
    """A question's answer, and the id under which it was logged, None where it was not kept."""

    recognition: Recognition
    time_intent: TimeIntent | None
    question_id: str | None


class RecognitionService:
    """Answers questions for one process."""

    def __init__(self, cascade: Cascade, log: QuestionLog, rules: LiveRules, usage: UsageCounter,
                 today: Callable[[], date], experiments: ExperimentTraffic) -> None:
        self._cascade, self._log, self._rules, self._usage, self._today = cascade, log, rules, usage, today
        self._experiments = experiments

    def predict(self, question: str, subject: str | None, has_consent: bool) -> RecognizedQuestion:
        """Recognise a question. Text and subject are kept, masked, with consent; without it they are only counted."""
        started = time.perf_counter()
        trial = self._experiments.enter(subject, question)
        recognition = self._recognize(question, trial)
        time_intent = parse_time_intent(question, self._today())
        in_shadow = {match.rule.id for match in self._rules.shadow().match(question)}
        self._usage.note_use({*recognition.rule_ids, *in_shadow})
        latency_ms = (time.perf_counter() - started) * 1000
        if trial is not None:
            self._experiments.leave(trial, question, recognition, latency_ms)
        prediction = _prediction(question, subject, has_consent, recognition, time_intent, latency_ms, trial)
        return RecognizedQuestion(recognition, time_intent, self._log.record(prediction))

    def close(self) -> None:
        """Write down what was counted of experiments, for the last time."""
        self._experiments.close()

    def _recognize(self, question: str, trial: Trial | None) -> Recognition:
        if trial is None:
            return self._cascade.recognize(question)
        return self._cascade.recognize(question, trial.experiment.control_version, trial.treatment)


def _prediction(question: str, subject: str | None, has_consent: bool, recognition: Recognition,
                time_intent: TimeIntent | None, latency_ms: float, trial: Trial | None) -> Prediction:
    model = recognition.model
    return Prediction(
        question=question, intents=tuple(recognition.intents), confidence=recognition.confidence,
        method=recognition.method, latency_ms=latency_ms, has_consent=has_consent,
        model_version=model.model_version if model else "", scores=model.scores if model else {},
        thresholds=model.thresholds if model else {}, subject=subject, called_llm=recognition.called_llm,
        time_intent=time_intent and time_intent.to_json(), variant=trial and trial.variant)
