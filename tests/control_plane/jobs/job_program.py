"""`python -m tests.control_plane.jobs.job_program JOB_ID ATTEMPT LEASE_S`: conch.job_process with the tests' kind."""

import sys

from conch.job_process import main
from tests.control_plane.jobs.tiny_work import TINY_KINDS

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), TINY_KINDS, float(sys.argv[3]))
