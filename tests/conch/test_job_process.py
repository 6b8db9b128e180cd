"""The process of a job starts with what it needs; what jobs do is tested with their kinds and with dispatchers."""

import subprocess
import sys


def test_it_starts_without_what_only_the_web_process_needs():
    code = ("import sys; import conch.job_process; "
            "print(sorted({'flask', 'numpy', 'tritonclient', 'openai', 'httpx'} & set(sys.modules)))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("[]\n", "")
