"""Which devices this machine has, and whether a model may run on one. Knows of engines only vLLM."""

import subprocess
from functools import lru_cache

from control_plane.errors import DeviceNotAvailableError

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
DEVICES = (AUTO, CPU, CUDA)
_PROBE_TIMEOUT_S = 5


@lru_cache(maxsize=1)
def cuda_devices() -> tuple[str, ...]:
    """Return the names of the NVIDIA devices of this machine, as its driver gives them."""
    try:
        run = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                             text=True, timeout=_PROBE_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in run.stdout.splitlines() if line.strip())


def resolve_device(device: str, of_vllm: bool) -> str:
    """Return the device that a load asked for `device` gets; raises DeviceNotAvailableError and never falls back.

    Whether the Triton of a model for vLLM has a GPU is not asked here: it may be on another machine, and says so.
    """
    if of_vllm:
        if device == CPU:
            raise DeviceNotAvailableError(device, "the model was exported for vLLM, which computes on a GPU; ask for "
                                                  "cuda or auto")
        return CUDA
    if device != CUDA:
        return CPU
    if not cuda_devices():
        raise DeviceNotAvailableError(device, "this machine has no NVIDIA device; ask for cpu or auto")
    raise DeviceNotAvailableError(device, "Conch's own backends compute on the CPU; ask for cpu or auto, or export a "
                                          "text generator with --engine vllm")
