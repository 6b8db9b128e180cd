"""`python -m conch.job_process JOB_ID ATTEMPT`: the process of one claimed job. The controller starts it."""

import importlib
import logging
import os
import sys
from collections.abc import Mapping

from control_plane.database.database import Database
from control_plane.jobs.claims import LEASE_S, Claim, JobClaims
from control_plane.jobs.kinds import KINDS, JobKind, find_kind
from control_plane.jobs.store import JobStore
from control_plane.jobs.worker import Report, run_claimed
from control_plane.settings import load_settings

_NICENESS = 10  # Whoever waits for an answer of Triton comes first (nice(2)).


def main(job_id: str, attempt: int, kinds: Mapping[str, JobKind] = KINDS, lease_s: float = LEASE_S) -> None:
    """Run the job; its outcome is in the database, whatever it is."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.nice(_NICENESS)
    database = Database(load_settings().database_address)

    def work(report: Report) -> dict:
        job = JobStore(database).find(job_id)
        kind = find_kind(kinds, job.kind)
        return importlib.import_module(kind.module).run(kind.arguments.model_validate(job.arguments), report)

    run_claimed(JobClaims(database, lease_s), Claim(job_id, attempt), work)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
