"""How many threads one instance of a model may use. Knows nothing of Triton's API."""

from export.contract import CPU_THREADS_PARAMETER
from serving.errors import VersionLoadError


def threads_per_instance(config: dict, cores: int) -> int:
    """Share `cores`, or as many of them as the model may use, among its instances.

    Raises VersionLoadError when there are more instances than that, or when config.pbtxt states no number of cores.
    """
    cores = min(cores, _permitted(config, cores))
    instances = sum(int(group.get("count", 1)) for group in config["instance_group"])
    if instances > cores:
        raise VersionLoadError(f"instance_group asks for {instances} instances but only {cores} cores are available; "
                               f"set count to at most {cores}")
    return cores // instances


def _permitted(config: dict, cores: int) -> int:
    text = config.get("parameters", {}).get(CPU_THREADS_PARAMETER, {}).get("string_value", str(cores))
    if not text.isdecimal() or int(text) < 1:
        raise VersionLoadError(f"parameter {CPU_THREADS_PARAMETER} of config.pbtxt is {text!r}; it must be a whole "
                               "number above 0")
    return int(text)
