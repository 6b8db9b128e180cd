"""Runs one command so that nothing of it is left behind, whatever is killed: `python -m serving.keeper COMMAND…`.

Triton starts a process for each model that notices the server's death only while it can run. The keeper adopts what a
killed server leaves behind and ends it. It ends with its command's status, and ends its command when its own parent
dies. Knows nothing of Triton.
"""

import sys

from serving.processes import run_until_stopped

_STOP_TIMEOUT_S = 12  # Triton gives requests under way 10.

if __name__ == "__main__":
    sys.exit(run_until_stopped(sys.argv[1:], _STOP_TIMEOUT_S))
