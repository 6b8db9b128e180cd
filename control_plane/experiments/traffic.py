"""Leads the questions of one process through the experiment that runs. Knows nothing of reports, nor of HTTP."""

from control_plane.experiments.arm_counter import ArmCounter
from control_plane.experiments.arm_counts import count_request
from control_plane.experiments.live_experiment import LiveExperiment
from control_plane.experiments.shadow import Shadow
from control_plane.experiments.tables import SHADOW
from control_plane.experiments.trial import Trial, enter
from control_plane.questions.tables import LOCAL_MODEL
from control_plane.recognition.recognition import TREATMENT_MODEL, Recognition


class ExperimentTraffic:
    """What answering a question has to do with experiments: once before, once after."""

    def __init__(self, live: LiveExperiment, counter: ArmCounter, shadow: Shadow) -> None:
        self._live, self._counter, self._shadow = live, counter, shadow

    def enter(self, subject: str | None, question: str) -> Trial | None:
        """Return the part that a question has in the experiment that runs, None where it has none."""
        experiment = self._live.current()
        return experiment and enter(experiment, subject, question)

    def leave(self, trial: Trial, question: str, recognition: Recognition, latency_ms: float) -> None:
        """Count what came of a question, and show it to the shadow where the experiment has one.

        The latency of an A/B is that of the whole answer, which is what the user waits for; in a shadow experiment both
        arms count the time that scoring took, as there is no other for the shadow.
        """
        experiment, model = trial.experiment, recognition.model
        is_shadow = experiment.kind == SHADOW
        stage = LOCAL_MODEL if trial.treatment is None else TREATMENT_MODEL
        counts = count_request(
            model.latency_ms if is_shadow and model else latency_ms, is_error=stage in recognition.failed_stages,
            is_fallback=not (model and model.held()), called_llm=recognition.called_llm)
        self._counter.add(experiment.id, trial.arm, counts)
        if is_shadow and model:
            self._shadow.show(experiment, question, model)

    def close(self) -> None:
        """Write down what was counted, for the last time."""
        self._counter.close()
