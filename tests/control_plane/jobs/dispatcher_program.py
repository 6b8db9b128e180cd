"""`python -m tests.control_plane.jobs.dispatcher_program MAX_JOBS LEASE_S`: a dispatcher as a controller runs one."""

import signal
import subprocess
import sys
import threading

from control_plane.database.database import Database
from control_plane.jobs.claims import Claim, JobClaims
from control_plane.jobs.dispatcher import Dispatcher
from control_plane.jobs.wake_queue import WakeQueue
from control_plane.settings import load_settings
from serving.processes import start_child


def main(max_jobs: int, lease_s: float) -> None:
    """Run jobs until SIGTERM."""
    settings, stop = load_settings(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def start(claim: Claim) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.control_plane.jobs.job_program", claim.job_id,
                   str(claim.attempt), str(lease_s)]
        return start_child(command, None, settings.home / "jobs.log")

    claims = JobClaims(Database(settings.database_address), lease_s)
    Dispatcher(claims, WakeQueue(settings.queue_url, settings.queue_file), start, max_jobs).run(stop)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
