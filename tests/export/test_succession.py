"""What a new version must have in common with those of the same name; the rest of it is in the tests of each export."""

import pytest

from export.contract import CONFIG_FILE, EMBEDDING, EMBEDDING_OUTPUT, INTENT, SCORES_OUTPUT
from export.errors import UnsupportedModelError
from export.succession import check_backend, check_dimension, check_task
from export.triton_config import encoder_config, generator_config, intent_config, vllm_config


def test_a_new_name_is_free_for_every_task(tmp_path):
    check_task(tmp_path / "new", INTENT, SCORES_OUTPUT)
    check_dimension(tmp_path / "new", 384)


def test_a_config_that_deleted_versions_left_must_have_the_output(tmp_path):
    (tmp_path / CONFIG_FILE).write_text(encoder_config("m", 8))
    check_task(tmp_path, EMBEDDING, EMBEDDING_OUTPUT)
    with pytest.raises(UnsupportedModelError, match=r"config\.pbtxt has no output 'scores'.*remove that file"):
        check_task(tmp_path, INTENT, SCORES_OUTPUT)
    (tmp_path / CONFIG_FILE).write_text(intent_config("m"))
    check_task(tmp_path, INTENT, SCORES_OUTPUT)


def test_a_name_stays_with_its_backend(tmp_path):
    check_backend(tmp_path / "new", "vllm")
    (tmp_path / CONFIG_FILE).write_text(generator_config("m"))
    check_backend(tmp_path, "text_generator")
    with pytest.raises(UnsupportedModelError, match=r"backend 'text_generator' serve .* for the backend 'vllm'"):
        check_backend(tmp_path, "vllm")
    (tmp_path / CONFIG_FILE).write_text(vllm_config("m"))
    check_backend(tmp_path, "vllm")
