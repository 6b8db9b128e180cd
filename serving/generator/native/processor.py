"""Whether this processor has the instructions of our code. Asks Linux, so that nothing heavy is imported for a no."""

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NEEDED = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}   # as every processor with the last has


def processor_can(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether it has; False where Linux does not tell, as on other architectures (source: man proc_cpuinfo)."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= _NEEDED
