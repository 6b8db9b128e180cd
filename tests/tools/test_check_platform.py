"""A machine that cannot run Conch is told so in one line that names the way out."""

import platform
import sys

import pytest

from tools.check_platform import main


def test_this_machine_is_accepted():
    main()


@pytest.mark.parametrize(("attribute", "value", "said", "way_out"), [
    ("machine", lambda: "aarch64", "no Triton wheel for Linux aarch64", "docker compose up"),
    ("system", lambda: "Darwin", "no Triton wheel for Darwin", "docker compose up"),
    ("libc_ver", lambda: ("glibc", "2.31"), "this is glibc 2.31", "docker compose up"),
    ("libc_ver", lambda: ("", ""), "this is another C library", "docker compose up"),
])
def test_a_platform_without_triton_is_named_with_the_way_out(monkeypatch, attribute, value, said, way_out):
    monkeypatch.setattr(platform, attribute, value)  # The interpreter's own facts, not code of ours.
    with pytest.raises(SystemExit) as stopped:
        main()
    assert said in stopped.value.code
    assert way_out in stopped.value.code
    assert "\n" not in stopped.value.code


@pytest.mark.parametrize("version", [(3, 9, 0), (3, 13, 0)])
def test_an_unsupported_python_is_named_with_those_that_work(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit, match=r"Python 3\.\d+ is not supported; install Python 3\.10, 3\.11 or 3\.12"):
        main()
