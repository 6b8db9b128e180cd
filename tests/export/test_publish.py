"""Publishing: a killed process leaves no version or a whole one, numbers only grow, exports wait for each other."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export.contract import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, version_numbers
from export.manifest import read_manifest, verify_files
from export.publish import publish_version, stage_version
from tests.versions import read_tree

# Publishes versions of a model; the first argument is the repository, the second how many, the third at which of its
# steps on the file system (in the order of Python's audit events, each raised before its step) it is killed.
_CHILD = f"""
import os, signal, sys
from pathlib import Path
from export.manifest import EncoderManifest, sha256_of
from export.publish import publish_version, stage_version

STEPS = ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "os.rmdir", "os.scandir", "os.listdir",
         "tempfile.mkdtemp", "shutil.rmtree", "fcntl.flock")
repository, publishes, killed_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
seen = 0

def step(event, arguments):
    global seen
    if event in STEPS:
        seen += 1
        if seen == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

def publish():
    with stage_version(repository, "m") as (staging, version):
        for name in ({MODEL_FILE!r}, {TOKENIZER_FILE!r}):
            (staging / name).write_bytes(name.encode() * 1000)
        files = {{path.name: sha256_of(path) for path in sorted(staging.iterdir())}}
        EncoderManifest(model="m", version=version, task="embedding", source="path:x", revision=None, engine="openvino",
                        precision="fp32", dimension=8, max_tokens=16, pad_token_id=0, pooling=("mean",),
                        pools_prompt=True, normalized=True, files=files).write(staging)
        publish_version(staging, version, "config of the first\\n")

sys.addaudithook(step)
for _ in range(publishes):
    publish()
"""
_MOST_STEPS = 100  # far more than one publish takes; the loop over them ends by itself


@pytest.mark.parametrize("published_before", [0, 1])
def test_a_process_killed_at_any_step_leaves_no_version_or_a_whole_one_and_the_next_export_works(
        tmp_path, published_before):
    outcomes = []
    for killed_at in range(1, _MOST_STEPS):
        repository = tmp_path / str(killed_at)
        if published_before:
            assert _publish_in_child(repository, published_before).returncode == 0
        child = _publish_in_child(repository, 1, killed_at)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, child.stderr
        versions = _whole_versions(repository)
        assert versions in ([*range(1, published_before + 1)], [*range(1, published_before + 2)])
        outcomes.append(len(versions) - published_before)
        _assert_next_publish_works(repository, above=max(versions, default=0))
    else:
        pytest.fail("the child never came to its end")
    assert len(outcomes) > 10
    assert {0, 1} == set(outcomes), "killed before and after the rename"
    assert outcomes == sorted(outcomes), "once the version is there, nothing later takes it away"


def test_two_exports_at_once_get_different_numbers(tmp_path):
    children = [_start_child(tmp_path, publishes=5) for _ in range(3)]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
    assert _whole_versions(tmp_path) == list(range(1, 16))


def test_the_number_of_a_deleted_version_never_comes_back(tmp_path):
    for _ in range(3):
        _publish(tmp_path)
    shutil.rmtree(tmp_path / "m" / "3")
    assert _publish(tmp_path).name == "4"
    for number in (1, 2, 4):
        shutil.rmtree(tmp_path / "m" / str(number))
    assert _publish(tmp_path).name == "5"


def test_numbers_continue_above_versions_that_came_into_the_folder_by_other_ways(tmp_path):
    (tmp_path / "m" / "12").mkdir(parents=True)
    assert _publish(tmp_path).name == "13"


def test_an_export_that_fails_leaves_the_repository_as_it_was(tmp_path):
    _publish(tmp_path)
    before = read_tree(tmp_path)
    with pytest.raises(RuntimeError):
        _fail_to_publish(tmp_path)
    assert read_tree(tmp_path) == before


def test_a_first_export_that_fails_leaves_no_model(tmp_path):
    with pytest.raises(RuntimeError):
        _fail_to_publish(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_staging_folders_of_killed_exports_are_removed_and_those_of_other_models_kept(tmp_path):
    for model in ("m", "other"):
        (tmp_path / model / ".staging-killed").mkdir(parents=True)
    _publish(tmp_path)
    assert not (tmp_path / "m" / ".staging-killed").exists()
    assert (tmp_path / "other" / ".staging-killed").exists()


def test_staging_lies_beside_its_target_where_readers_see_no_version(tmp_path):
    with stage_version(tmp_path, "m") as (staging, version):
        assert staging.parent == tmp_path / "m"
        assert version == 1
        assert version_numbers(tmp_path / "m") == []


def test_a_published_version_can_be_read_by_another_user(tmp_path):
    version = _publish(tmp_path)
    assert version.stat().st_mode & 0o777 == 0o755


def test_config_is_written_once_and_then_left_to_people(tmp_path):
    _publish(tmp_path, config="first")
    config = tmp_path / "m" / CONFIG_FILE
    assert config.read_text() == "first"
    config.write_text("edited")
    _publish(tmp_path, config="second")
    assert config.read_text() == "edited"


def _publish(repository: Path, config: str = "config") -> Path:
    with stage_version(repository, "m") as (staging, version):
        (staging / MODEL_FILE).write_bytes(b"model")
        return publish_version(staging, version, config)


def _fail_to_publish(repository: Path) -> None:
    with stage_version(repository, "m") as (staging, _):
        (staging / MODEL_FILE).write_bytes(b"half")
        raise RuntimeError


def _start_child(repository: Path, publishes: int, killed_at: int = 0) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", _CHILD, str(repository), str(publishes), str(killed_at)],
                            stderr=subprocess.PIPE)


def _publish_in_child(repository: Path, publishes: int, killed_at: int = 0) -> subprocess.CompletedProcess:
    child = _start_child(repository, publishes, killed_at)
    _, errors = child.communicate(timeout=60)
    return subprocess.CompletedProcess(child.args, child.returncode, stderr=errors)


def _whole_versions(repository: Path) -> list[int]:
    """Return the version numbers after checking that each version is complete and unharmed."""
    versions = version_numbers(repository / "m")
    for number in versions:
        version = repository / "m" / str(number)
        manifest = read_manifest(version)
        assert manifest.version == number
        assert set(manifest.files) == {MODEL_FILE, TOKENIZER_FILE}
        verify_files(version, manifest)
        assert (repository / "m" / CONFIG_FILE).read_text() == "config of the first\n"
    return versions


def _assert_next_publish_works(repository: Path, above: int) -> None:
    assert _publish_in_child(repository, 1).returncode == 0
    versions = _whole_versions(repository)
    assert versions[-1] > above
    remains = {path.name for path in (repository / "m").iterdir()}
    assert remains == {*map(str, versions), CONFIG_FILE, ".highest"}
