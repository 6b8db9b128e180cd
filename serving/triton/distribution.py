"""Finds a tritonserver on this machine and lays out the backend directory it needs. Starts nothing.

Two distributions are known: NVIDIA's own (the container image, `tritonserver` on PATH) and the one inside the PyPI
wheel nvidia-pytriton, which needs no Docker (docs/decisions/0001).
"""

import ctypes.util
import importlib.util
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from serving.errors import LaunchError

BACKENDS_DIR = Path(__file__).resolve().parent.parent / "backends"
_STUB = "triton_python_backend_stub"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_NO_TRITON = ("no tritonserver for this platform: the nvidia-pytriton wheel exists for Linux x86-64 with glibc 2.35 or "
              "newer; elsewhere run `docker compose up`, which uses NVIDIA's image")


@dataclass(frozen=True)
class Distribution:
    """Where the parts of a tritonserver lie."""

    executable: Path
    python_backend_dir: Path          # of Triton's own Python backend
    stub: Path                        # the process that runs Python models, for this Python version
    library_dirs: tuple[Path, ...]    # to put on LD_LIBRARY_PATH


def find_distribution() -> Distribution:
    """Return the tritonserver on PATH, else the one in the wheel; raises LaunchError that names the way out."""
    on_path = shutil.which("tritonserver")
    if on_path:
        return _native_distribution(Path(on_path).resolve())
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise LaunchError(_NO_TRITON)
    return _wheel_distribution(Path(spec.submodule_search_locations[0]))


def lay_out_backends(distribution: Distribution, target: Path) -> Path:
    """Make `target` a backend directory: Triton's Python backend with our stub, and our backends beside it.

    Everything is copied: Triton refuses a backend whose files are links out of the backend directory.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(distribution.python_backend_dir, target / "python")
    shutil.copy2(distribution.stub, target / "python" / _STUB)
    for backend in BACKENDS_DIR.iterdir():
        if (backend / "model.py").is_file():
            (target / backend.name).mkdir()
            shutil.copy2(backend / "model.py", target / backend.name)
    return target


def _native_distribution(executable: Path) -> Distribution:
    python_backend = executable.parent.parent / "backends" / "python"
    return Distribution(executable, python_backend, python_backend / _STUB, ())


def _wheel_distribution(package: Path) -> Distribution:
    root = package / "tritonserver"
    stub = root / "python_backend_stubs" / _PYTHON / _STUB
    if not stub.is_file():
        raise LaunchError(f"the nvidia-pytriton wheel has no Python stub for Python {_PYTHON}; "
                          "use Python 3.10, 3.11 or 3.12")
    libraries = package.parent / "nvidia_pytriton.libs"
    return Distribution(root / "bin" / "tritonserver", root / "backends" / "python", stub,
                        (libraries, _libpython_dir()))


def _libpython_dir() -> Path:
    """Return the folder of this interpreter's shared library, which the stub is linked to."""
    name = f"libpython{_PYTHON}.so.1.0"
    variables = sysconfig.get_config_vars()
    lib_dir = Path(variables.get("LIBDIR") or "/usr/lib")
    folders = [lib_dir, lib_dir / str(variables.get("MULTIARCH") or ""), Path(sys.base_prefix) / "lib"]
    for folder in folders:
        if (folder / name).is_file():
            return folder
    if ctypes.util.find_library(f"python{_PYTHON}"):
        return folders[0]  # The dynamic linker knows it anyway.
    raise LaunchError(f"{name} not found: Triton's Python stub needs the shared library of Python {_PYTHON}; "
                      f"on Debian and Ubuntu install it with `apt-get install libpython{_PYTHON}`")
