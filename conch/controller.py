"""`python -m conch.controller`: the process that keeps what should be live, live. `conch serve` runs one."""

import logging
import signal
import subprocess
import sys
import threading
from datetime import timedelta

from control_plane.errors import DatabaseError
from control_plane.experiments.watch import ExperimentWatch
from control_plane.jobs.claims import Claim
from control_plane.jobs.dispatcher import Dispatcher
from control_plane.jobs.kinds import SEED, SeedArguments
from control_plane.labelling.propagation import LabelPropagation, mark_arrivals
from control_plane.lifecycle.reconciler import Reconciler
from control_plane.observability.logs import configure_logging
from control_plane.questions.upkeep import QuestionUpkeep
from control_plane.services import Services, build_services
from control_plane.settings import load_settings
from control_plane.tuning.auto_training import AutoTraining
from export.contract import version_numbers
from serving.processes import start_child

_ACTOR = "conch"
_LOG = logging.getLogger(__name__)


def main() -> None:
    """Reconcile, run jobs, keep questions and their labels, begin trainings and watch experiments until SIGTERM."""
    configure_logging()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    services = build_services(load_settings())
    _seed(services)
    training = AutoTraining(services.tuning.batches, services.settings.train_after_labels)
    tasks = {
        # The kernel ends jobs with the thread that started them, so this one lives as long as the process.
        "jobs": _dispatcher(services), "questions": _question_upkeep(services),
        "labels": LabelPropagation(services.database), "training": training, "experiments": _experiment_watch(services)}
    threads = [threading.Thread(target=task.run, args=(stop,), name=name) for name, task in tasks.items()]
    for thread in threads:
        thread.start()
    try:
        Reconciler(services.store, services.leases, services.fleet, services.rollout, services.residency,
                   timedelta(seconds=services.settings.idle_unload_s)).run(stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _seed(services: Services) -> None:
    """Have the first intent model trained, once: whoever asks again gets the same job."""
    settings = services.settings
    if settings.seed_intents and not version_numbers(settings.model_repository / settings.intent_model):
        try:
            services.jobs.submit(SEED, SeedArguments(), _ACTOR, SEED)
        except DatabaseError as error:
            _LOG.warning("no first intent model is trained before the next start: %s", error)


def _dispatcher(services: Services) -> Dispatcher:
    log_dir = services.settings.home / "logs" / "jobs"

    def start(claim: Claim) -> subprocess.Popen:
        command = [sys.executable, "-m", "conch.job_process", claim.job_id, str(claim.attempt)]
        return start_child(command, None, log_dir / f"{claim.job_id}.log")

    return Dispatcher(services.job_claims, services.job_queue, start, services.settings.max_jobs)


def _question_upkeep(services: Services) -> QuestionUpkeep:
    settings = services.settings
    return QuestionUpkeep(services.database, settings.question_spool, settings.question_retention_days,
                          mark_arrivals)


def _experiment_watch(services: Services) -> ExperimentWatch:
    return ExperimentWatch(services.tuning.experiment_store, services.tuning.experiments, services.store,
                           services.lifecycle, services.leases, services.settings.intent_model)


if __name__ == "__main__":
    main()
