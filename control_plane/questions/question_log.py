"""Takes predictions down while requests wait: masks, and hands one line to the kernel. Knows no database."""

import logging
import random
from collections.abc import Callable
from datetime import datetime

from control_plane.database.schema import utc_now
from control_plane.jobs.store import new_job_id
from control_plane.privacy.fingerprints import fingerprint, subject_digest
from control_plane.privacy.masking import mask_personal_data
from control_plane.questions.prediction import Prediction, uncertainty
from control_plane.questions.spool import Spool
from control_plane.questions.spool_entry import QUESTION_MAX_CHARS, KeptQuestion, SpoolEntry, day_of

_LOG = logging.getLogger(__name__)


class QuestionLog:
    """The question log as those see it who answer questions."""

    def __init__(self, spool: Spool, key: str, note_failure: Callable[[], None] = lambda: None) -> None:
        """`key` makes the digests of subjects and the fingerprints; `note_failure` is told of each lost question."""
        self._spool, self._key, self._note_failure = spool, key, note_failure
        self._is_failing = False

    def record(self, prediction: Prediction) -> str | None:
        """Log a prediction and return the question's id, by which it can be labelled within seconds.

        Returns None where nothing is kept: without consent, when it is only counted, and when it could not be written,
        which the log and a metric tell. Whatever goes wrong here does not cost the caller their answer.
        """
        try:
            entry = _entry(prediction, self._key, utc_now())
            self._spool.append(entry.to_line())
        except Exception as error:  # See above; and masking and checking run over whatever somebody typed.
            self._note(error)
            return None
        self._is_failing = False
        return entry.kept and entry.kept.id

    def _note(self, error: Exception) -> None:
        self._note_failure()
        if not self._is_failing:  # A full disk would write a line for each question.
            # Messages of checks quote what they checked.
            reason = str(error) if isinstance(error, OSError) else type(error).__name__
            _LOG.error("questions are not logged until this ends: %s", reason)
        self._is_failing = True


def _entry(prediction: Prediction, key: str, now: datetime) -> SpoolEntry:
    return SpoolEntry(
        day=day_of(now), method=prediction.method, model_version=prediction.model_version, intents=prediction.intents,
        latency_ms=prediction.latency_ms, called_llm=prediction.called_llm,
        kept=_kept(prediction, key, now) if prediction.has_consent else None)


def _kept(prediction: Prediction, key: str, now: datetime) -> KeptQuestion:
    # Lone surrogates, which JSON can carry and no database takes, become question marks.
    question = mask_personal_data(prediction.question.encode("utf-8", "replace").decode("utf-8")).text
    return KeptQuestion(
        id=new_job_id(), question=question[:QUESTION_MAX_CHARS], confidence=prediction.confidence,
        scores=dict(prediction.scores), time_intent=prediction.time_intent and dict(prediction.time_intent),
        subject_digest=None if prediction.subject is None else subject_digest(prediction.subject, key),
        fingerprint=fingerprint(question, key), uncertainty=uncertainty(prediction.scores, prediction.thresholds),
        random_key=random.random(), asked_at=now,  # noqa: S311 - which questions are sampled is no secret
        variant=prediction.variant)
