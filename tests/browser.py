"""A real browser for tests: headless Chromium behind chromedriver, spoken to by W3C WebDriver over HTTP."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ENTER, ESCAPE, SHIFT = "\ue007", "\ue00c", "\ue008"  # W3C WebDriver, 17.4.2
_TIMEOUT_S = 60
_POLL_S = 0.05
# Chromium refuses its sandbox to root, and a container's /dev/shm may be small. It loads nothing but our own page.
_ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-GB",
              "--disable-background-networking", "--no-proxy-server"]


class Browser:
    """One window."""

    def __init__(self, session: httpx.Client) -> None:
        self._session = session

    def open(self, address: str) -> None:
        """Load a page."""
        self._command("url", url=address)

    def run(self, script: str, *arguments: object) -> object:
        """Run the body of an async function in the page, which has `arguments`; returns what it does, as JSON."""
        return self._command("execute/sync", script=f"return (async () => {{ {script} }})()", args=list(arguments))

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def click(self, selector: str) -> None:
        """Press a button."""
        self.run("document.querySelector(arguments[0]).click()", selector)

    def fill(self, selector: str, text: str) -> None:
        """Put a text into a field, as typing it would."""
        self.run("const field = document.querySelector(arguments[0]); field.value = arguments[1];"
                 "field.dispatchEvent(new Event('input', {bubbles: true}))", selector, text)

    def wait_until(self, condition: str, *arguments: object) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not self.run(f"return {condition}", *arguments):
            assert time.monotonic() < deadline, (
                f"{condition} {arguments} did not come true; the page says: {self.text('body')}")
            time.sleep(_POLL_S)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element is shown that has a text."""
        self.wait_until("document.querySelector(arguments[0])?.checkVisibility()"
                        " && document.querySelector(arguments[0]).innerText.includes(arguments[1])", selector, text)

    def press(self, *keys: str, held: str = "") -> None:
        """Press keys one after the other, wherever the focus is, while the key `held` is down."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        if held:
            actions = [{"type": "keyDown", "value": held}, *actions, {"type": "keyUp", "value": held}]
        self._command("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def use_screen(self, width: int, scheme: str = "light") -> None:
        """Be `width` pixels wide, for a reader who wants a light or a dark page."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=True)
        self._devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def go_offline(self, is_offline: bool) -> None:
        """Lose the network, or have it back."""
        self._devtools("Network.enable")
        self._devtools("Network.emulateNetworkConditions", offline=is_offline, latency=0, downloadThroughput=-1,
                       uploadThroughput=-1)

    def screenshot(self, file: Path) -> None:
        """Write a picture of what is on the screen."""
        picture = self._devtools("Page.captureScreenshot")
        file.write_bytes(base64.b64decode(picture["data"]))

    def console(self) -> list[str]:
        """Return what the browser complained of since it was last asked, such as errors of scripts."""
        return [entry["message"] for entry in self._command("se/log", type="browser")]

    def _devtools(self, command: str, **parameters: object) -> dict:
        return self._command("goog/cdp/execute", cmd=command, params=parameters)

    def _command(self, name: str, **body: object) -> object:
        answer = self._session.post(name, json=body)
        assert answer.is_success, f"{name}: {answer.text}"
        return answer.json()["value"]


def find_chromedriver() -> str | None:
    """Return the program that drives Chromium, None where it is not installed."""
    return shutil.which("chromedriver")


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Run a browser whose profile is under `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with (folder / "chromedriver.log").open("wb") as log:
        process = subprocess.Popen([find_chromedriver(), f"--port={port}"], stdout=log, stderr=subprocess.STDOUT,
                                   start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=_TIMEOUT_S, trust_env=False) as client:
            _wait_until_it_answers(client, process)
            options = {"args": [*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            made = client.post("session", json={"capabilities": {"alwaysMatch": wanted}})
            assert made.is_success, made.text
            address = f"{client.base_url}session/{made.json()['value']['sessionId']}/"
            with httpx.Client(base_url=address, timeout=_TIMEOUT_S, trust_env=False) as session:
                yield Browser(session)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the driver and its browser, whatever either is busy with
        process.wait()


def _wait_until_it_answers(client: httpx.Client, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            if client.get("status").json()["value"]["ready"]:
                return
        except httpx.TransportError:
            assert process.poll() is None, "chromedriver has ended"
        assert time.monotonic() < deadline, "chromedriver does not answer"
        time.sleep(_POLL_S)
