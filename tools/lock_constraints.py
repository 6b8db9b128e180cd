"""Writes constraints.txt: one version of every package for each Python that Conch supports.

usage: python tools/lock_constraints.py [--upgrade]

Asks the pip of python3.10, python3.11 and python3.12, which must all be on PATH, to resolve pyproject.toml (nothing is
installed) and merges the answers with markers.
Versions already in constraints.txt stay unless --upgrade is given. The CUDA packages of torch are left out: torch pins
them itself, and its CPU build does not want them.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.10", "3.11", "3.12")
LEFT_OUT = ("nvidia-cu", "nvidia-nccl", "nvidia-nv", "nvidia-cuda", "cuda-", "triton", "conch")
HEADER = "# Made by `make constraints`; do not edit. One version of every package for each supported Python.\n"


def main() -> None:
    """Resolve for every Python and write the file."""
    keep = CONSTRAINTS.exists() and "--upgrade" not in sys.argv
    versions: dict[str, dict[str, str]] = defaultdict(dict)  # package -> Python -> version
    for python in PYTHONS:
        for name, version in resolve(python, keep).items():
            versions[name][python] = version
    CONSTRAINTS.write_text(HEADER + "".join(line for name in sorted(versions) for line in lines(name, versions[name])))


def resolve(python: str, keep: bool) -> dict[str, str]:
    """Return package -> version that pip would install for this Python."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [f"python{python}", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
                   "--only-binary=:all:", "--report", str(report)]
        command += ["-c", str(CONSTRAINTS)] if keep else []
        subprocess.run([*command, *requirements()], check=True)
        installed = json.loads(report.read_text())["install"]
    found = {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in installed}
    return {name: version.split("+")[0] for name, version in found.items() if not name.startswith(LEFT_OUT)}


def requirements() -> list[str]:
    """Return the requirements of pyproject.toml with all extras, without the project itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [item for group in project["optional-dependencies"].values() for item in group]
    return [*project["dependencies"], *extras]


def lines(name: str, by_python: dict[str, str]) -> list[str]:
    """Return the constraint lines of one package: one without a marker where every Python takes the same version."""
    if len(by_python) == len(PYTHONS) and len(set(by_python.values())) == 1:
        return [f"{name}=={by_python[PYTHONS[0]]}\n"]
    return [f"{name}=={version}; python_version == '{python}'\n" for python, version in by_python.items()]


if __name__ == "__main__":
    main()
