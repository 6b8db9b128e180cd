"""How many threads one instance of a model may use. Knows nothing of Triton's API."""

from serving.errors import VersionLoadError


def threads_per_instance(config: dict, cores: int) -> int:
    """Share `cores` among the instances of the model, so that threads x instances never exceed them.

    Raises VersionLoadError when there are more instances than cores.
    """
    instances = sum(int(group.get("count", 1)) for group in config["instance_group"])
    if instances > cores:
        raise VersionLoadError(f"instance_group asks for {instances} instances but only {cores} cores are available; "
                               f"set count to at most {cores}")
    return cores // instances
