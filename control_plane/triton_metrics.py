"""Reads from a Triton's metrics page (HTTP) how busy its generators are. Keeps nothing, and knows of no request."""

import http.client
import re
from dataclasses import dataclass

from control_plane.errors import TritonUnavailableError

# Gauges of serving/backends/text_generator, told once a second.
_GAUGE = re.compile(r"^conch_generator_(running|waiting|slots)\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class GeneratorLoad:
    """How busy one version of a generator is; numbers of sequences."""

    running: int
    waiting: int
    slots: int  # that may run at once


def read_generator_loads(address: str) -> dict[tuple[str, int], GeneratorLoad]:
    """Return the loads at the metrics endpoint `address` (host:port), by model and version.

    Raises TritonUnavailableError where there is no page to read.
    """
    try:
        return _parse(_read(address))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TritonUnavailableError(f"the metrics at {address} cannot be read: {error}; set CONCH_TRITON_METRICS_URLS "
                                     "to where each Triton has them") from error


def _read(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise ValueError(f"the answer is {response.status}")
        return response.read().decode()
    finally:
        connection.close()


def _parse(page: str) -> dict[tuple[str, int], GeneratorLoad]:
    gauges: dict[tuple[str, int], dict[str, int]] = {}
    for name, labels, value in _GAUGE.findall(page):
        of = dict(_LABEL.findall(labels))
        gauges.setdefault((of.get("model", ""), int(of.get("version", 0))), {})[name] = int(float(value))
    return {served: GeneratorLoad(found.get("running", 0), found.get("waiting", 0), found["slots"])
            for served, found in gauges.items() if "slots" in found}
