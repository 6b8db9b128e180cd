"""Says in one line why this machine cannot run Conch without containers, before anything is installed.

Runs on whatever `python3` is, so it uses nothing newer than Python 3.6.
"""

import platform
import sys

CONTAINERS = "run `docker compose up` instead, which uses NVIDIA's Triton image"


def main():
    """Exit with a message that names the way out, or return."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        sys.exit("conch: Python %d.%d is not supported; install Python 3.10, 3.11 or 3.12 and run "
                 "`make PYTHON=python3.11 run`" % sys.version_info[:2])
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("conch: there is no Triton wheel for %s %s; %s" % (platform.system(), platform.machine(), CONTAINERS))
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < (2, 35):
        sys.exit("conch: the Triton wheel needs glibc 2.35 (Debian 12, Ubuntu 22.04), this is %s %s; %s"
                 % (library or "another C library", version, CONTAINERS))


if __name__ == "__main__":
    main()
