"""Keys look as documented, their ids are found, and their secrets are hidden wherever they are written."""

import hashlib
import re

import pytest

from control_plane.access.key_format import digest_key, find_key_id, hide_keys, make_key


def test_keys_have_an_id_and_256_bits_of_their_own():
    made = [make_key() for _ in range(100)]
    assert len({key for key, _ in made}) == len({key_id for _, key_id in made}) == 100
    for key, key_id in made:
        assert re.fullmatch(rf"conch_{key_id}_[A-Za-z0-9_-]{{43}}", key)
        assert find_key_id(key) == key_id


@pytest.mark.parametrize("text", [
    "", "conch_", "conch_0123456789ab_", "conch_0123456789ab_" + "x" * 42, "conch_0123456789ab_" + "x" * 44,
    "conch_0123456789AB_" + "x" * 43, "conch_" + "x" * 43, "0123456789ab_" + "x" * 43,
    "conch_0123456789ab_" + "x" * 43 + "\n", "conch_0123456789ab_" + "ü" * 43])
def test_other_texts_have_no_id(text):
    assert find_key_id(text) is None


def test_digest_is_sha256_and_takes_any_text():
    assert digest_key("conch_a").hex() == hashlib.sha256(b"conch_a").hexdigest()
    assert len(digest_key("钥匙\ud800" * 1000)) == 32


def test_hidden_keys_keep_their_id_and_lose_their_secret():
    key, key_id = make_key()
    secret = key.rpartition(f"{key_id}_")[2]
    hidden = hide_keys(f"DELETE /api/v1/keys/{key}?again={key}")
    assert secret not in hidden
    assert hidden == f"DELETE /api/v1/keys/conch_{key_id}***?again=conch_{key_id}***"


def test_the_generated_admin_key_is_hidden_too():
    assert hide_keys("key=conch_" + "aB3_-" * 8 + "xyz, more") == "key=conch_***, more"


def test_texts_without_keys_stay():
    text = "conch keys (root) /api/v1/keys/0123456789ab conch_requests_total"
    assert hide_keys(text) == text
