"""Secrets are made once, for their owner only, and an unusable file is never taken for one."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from control_plane.secrets_store import SecretError, read_or_create_secret

READERS = 8
ROUNDS = 100


def test_new_secret_can_be_read_by_its_owner_only(tmp_path):
    read_or_create_secret(tmp_path / "deep" / "admin.key")
    assert stat.S_IMODE((tmp_path / "deep" / "admin.key").stat().st_mode) == 0o600


def test_new_secret_has_the_prefix_and_256_bits(tmp_path):
    secret = read_or_create_secret(tmp_path / "admin.key", "conch_")
    assert secret.startswith("conch_")
    assert len(secret) == len("conch_") + 43  # 32 bytes in base64 without padding
    assert secret != read_or_create_secret(tmp_path / "other.key", "conch_")


def test_existing_secret_is_not_regenerated(tmp_path):
    secret = read_or_create_secret(tmp_path / "admin.key")
    before = (tmp_path / "admin.key").stat()
    assert read_or_create_secret(tmp_path / "admin.key", "another_prefix") == secret
    assert (tmp_path / "admin.key").stat() == before


def test_secret_that_a_person_wrote_is_used_without_its_line_end(tmp_path):
    (tmp_path / "admin.key").write_bytes(b"mine\r\n")
    assert read_or_create_secret(tmp_path / "admin.key") == "mine"


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "is empty"), (b"\n", "is empty"), ("schlüssel".encode(), "ASCII")])
def test_unusable_file_is_refused_and_kept(tmp_path, content, reason):
    (tmp_path / "admin.key").write_bytes(content)
    with pytest.raises(SecretError, match=f"admin.key.*{reason}"):
        read_or_create_secret(tmp_path / "admin.key")
    assert (tmp_path / "admin.key").read_bytes() == content


def test_only_the_secret_is_left_in_the_directory(tmp_path):
    read_or_create_secret(tmp_path / "admin.key")
    assert [path.name for path in tmp_path.iterdir()] == ["admin.key"]


def test_readers_that_start_together_share_one_secret(tmp_path):
    # Threads here: they meet in the same system calls, and many rounds of them are quick.
    barrier = threading.Barrier(READERS)

    def read(path):
        barrier.wait()
        return read_or_create_secret(path)

    with ThreadPoolExecutor(READERS) as pool:
        for number in range(ROUNDS):
            path = tmp_path / f"{number}.key"
            secrets = set(pool.map(read, [path] * READERS))
            assert secrets == {path.read_text(encoding="ascii").strip()}
    assert len(list(tmp_path.iterdir())) == ROUNDS
