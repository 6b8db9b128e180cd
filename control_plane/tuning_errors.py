"""The errors of the tuning loop, a part of the tree of control_plane.errors; mapped to HTTP with the others.

    ControlPlaneError
    ├── QuestionNotFoundError      no logged question has that id
    ├── QuestionErasedError        the question's subject had it erased
    ├── BatchNotFoundError         no training batch has that id
    ├── BatchStateError            a batch cannot be created or run now
    ├── ModelVersionNotFoundError  no batch brought forth that version
    ├── PromotionError             the version did not pass a gate, and nobody says why it should answer
    ├── ExperimentNotFoundError    no experiment has that id
    ├── ExperimentStateError       an experiment cannot be started or ended now
    ├── LlmAnswerError             a language model that was asked for intents answered something else
    ├── UnknownIntentsError        a label names intents that the taxonomy does not have
    ├── IntentNotFoundError        the taxonomy has no intent of that name
    ├── TaxonomyStateError         the taxonomy does not allow that change
    ├── LabelStateError            the question is not in a state in which that can be said of it
    ├── ImportRefusedError         rows of an import cannot be used, and nothing was imported
    ├── RuleNotFoundError          no keyword rule has that id
    ├── RuleExistsError            the keyword speaks for that intent already
    └── RuleStateError             the keyword rule cannot go from its state to that one
"""

from control_plane.errors import ControlPlaneError


class UnknownIntentsError(ControlPlaneError):
    """A label names intents that the taxonomy does not have, or not any more; nothing was labelled."""

    def __init__(self, wrong: list[str], known: tuple[str, ...]) -> None:
        super().__init__(f"{'; '.join(wrong)}; the taxonomy has {', '.join(known) or 'no intent yet'}, and an empty "
                         "list means out of scope")


class IntentNotFoundError(ControlPlaneError):
    """The taxonomy has no intent of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the taxonomy has no intent {name!r}; GET /api/v1/model-tuning/taxonomy lists them")


class TaxonomyStateError(ControlPlaneError):
    """The taxonomy does not allow that change; nothing was changed."""


class LabelStateError(ControlPlaneError):
    """The question is not in a state in which that can be said of it; nothing was changed."""

    def __init__(self, question_id: str, reason: str) -> None:
        super().__init__(f"question {question_id}: {reason}")


class ImportRefusedError(ControlPlaneError):
    """Rows of an import cannot be used, and nothing was imported; `fields` names each of them with the reason."""

    def __init__(self, refused: list[tuple[str, str]], refused_count: int) -> None:
        shown = "; ".join(f"{row}: {reason}" for row, reason in refused[:5])
        super().__init__(f"{refused_count} rows cannot be imported, and nothing was: {shown}; correct them, or import "
                         "the rest with on_error=keep")
        self.fields = refused


class QuestionNotFoundError(ControlPlaneError):
    """No logged question has that id."""

    def __init__(self, question_id: str) -> None:
        super().__init__(f"there is no logged question {question_id!r}; one that was asked just now takes some seconds "
                         "to come into the database, and old ones are dropped (CONCH_QUESTION_RETENTION_DAYS)")


class QuestionErasedError(ControlPlaneError):
    """The question was erased; nothing can be done with it any more."""

    def __init__(self, question_id: str) -> None:
        super().__init__(f"question {question_id} was erased at the wish of who asked it; take another one")


class RuleNotFoundError(ControlPlaneError):
    """No keyword rule has that id."""

    def __init__(self, rule_id: int) -> None:
        super().__init__(f"there is no keyword rule {rule_id}")


class RuleExistsError(ControlPlaneError):
    """A keyword speaks for an intent once; the rule that is there stays as it is."""

    def __init__(self, keyword: str, intent: str) -> None:
        super().__init__(f"there is a rule already by which {keyword!r} speaks for {intent!r}; change that one, also "
                         "where it is retired")


class RuleStateError(ControlPlaneError):
    """A keyword rule cannot go from its state to another; nothing was changed."""

    def __init__(self, rule_id: int, state: str, wanted: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"keyword rule {rule_id} is {state} and cannot become {wanted!r}; it can become "
                         f"{' or '.join(allowed)}")


class BatchNotFoundError(ControlPlaneError):
    """No training batch has that id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no training batch has the id {batch_id!r}")


class BatchStateError(ControlPlaneError):
    """A batch cannot be created or run now, or has not come to what was asked of it."""


class ModelVersionNotFoundError(ControlPlaneError):
    """No batch brought forth that version."""

    def __init__(self, version: str) -> None:
        super().__init__(f"no training batch brought forth a version {version!r}; GET /api/v1/model-tuning/models "
                         "lists them")


class PromotionError(ControlPlaneError):
    """A version that did not pass the gate, or met none, is to be activated without a reason."""

    def __init__(self, version: str, verdict: str | None) -> None:
        found = (f"no batch brought forth {version}, so that no gate has judged it" if verdict is None
                 else f"the gate's verdict on {version} is {verdict!r}")
        super().__init__(f"{found}; to activate it all the same, give a reason")


class ExperimentNotFoundError(ControlPlaneError):
    """No experiment has that id."""

    def __init__(self, experiment_id: str) -> None:
        super().__init__(f"no experiment has the id {experiment_id!r}; GET /api/v1/model-tuning/experiments lists them")


class ExperimentStateError(ControlPlaneError):
    """An experiment cannot be started or ended now; nothing was changed."""


class LlmAnswerError(ControlPlaneError):
    """A language model that was asked for intents answered something else."""
