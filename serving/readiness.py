"""Waits for servers to come up and checks that ports are free. Knows nothing of what answers."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from serving.errors import LaunchError

_POLL_S = 0.1


def check_ports_free(host: str, ports: dict[str, int]) -> None:
    """Raise LaunchError for the first taken port; `ports` maps the setting that moves it to the port."""
    for setting, port in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise LaunchError(f"port {port} on {host} cannot be used ({error.strerror}); "
                                  f"set {setting} to a free port") from error


def wait_for_ports(host: str, ports: dict[str, int], timeout_s: float) -> None:
    """Wait until every port is free; raises LaunchError as check_ports_free does when the time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return check_ports_free(host, ports)
        except LaunchError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def wait_for(is_up: Callable[[], bool], complaint: str, timeout_s: float) -> None:
    """Wait until `is_up()`; raises LaunchError with `complaint` when the time is up."""
    deadline = time.monotonic() + timeout_s
    while not is_up():
        if time.monotonic() > deadline:
            raise LaunchError(f"{complaint} (waited {timeout_s:g} s)")
        time.sleep(_POLL_S)


def http_status(url: str, timeout_s: float = 2.0) -> int | None:
    """Return the status that GET `url` answers with, None when nothing answers."""
    answer = _get(url, timeout_s)
    return answer and answer[0]


def http_json(url: str, timeout_s: float = 2.0) -> dict | None:
    """Return the JSON object that GET `url` answers with, whatever the status; None when there is none."""
    answer = _get(url, timeout_s)
    try:
        parsed = answer and json.loads(answer[1])
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _get(url: str, timeout_s: float) -> tuple[int, bytes] | None:
    """Return the status and the whole body, None when there is none, or when it breaks off."""
    try:
        try:
            response = urllib.request.urlopen(url, timeout=timeout_s)  # noqa: S310 - our own http URL
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
