"""`python -m conch.controller`: the process that keeps what should be live, live. `conch serve` runs one."""

import signal
import subprocess
import sys
import threading
from datetime import timedelta

from control_plane.jobs.claims import Claim
from control_plane.jobs.dispatcher import Dispatcher
from control_plane.lifecycle.reconciler import Reconciler
from control_plane.observability.logs import configure_logging
from control_plane.services import Services, build_services
from control_plane.settings import load_settings
from serving.processes import start_child


def main() -> None:
    """Reconcile and run jobs until SIGTERM."""
    configure_logging()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    services = build_services(load_settings())
    # The kernel ends jobs with the thread that started them, so this one lives as long as the process.
    jobs = threading.Thread(target=_dispatcher(services).run, args=(stop,), name="jobs")
    jobs.start()
    try:
        Reconciler(services.store, services.leases, services.fleet, services.rollout, services.residency,
                   timedelta(seconds=services.settings.idle_unload_s)).run(stop)
    finally:
        stop.set()
        jobs.join()


def _dispatcher(services: Services) -> Dispatcher:
    log_dir = services.settings.home / "logs" / "jobs"

    def start(claim: Claim) -> subprocess.Popen:
        command = [sys.executable, "-m", "conch.job_process", claim.job_id, str(claim.attempt)]
        return start_child(command, None, log_dir / f"{claim.job_id}.log")

    return Dispatcher(services.job_claims, services.job_queue, start, services.settings.max_jobs)


if __name__ == "__main__":
    main()
