"""What is known: the catalog and the repository together, read again when they change."""

import os
import time

import pytest

from control_plane import model_registry
from control_plane.errors import ModelLoadError, ModelNotExportedError, ModelNotFoundError, ModelNotServableError
from control_plane.model_registry import KnownModel, ModelRegistry
from export.catalog import load_catalog
from export.contract import CONFIG_FILE
from export.manifest import ManifestError
from tests.control_plane.fakes import publish


@pytest.fixture
def repository(settings):
    return settings.model_repository


@pytest.fixture
def registry(settings):
    return ModelRegistry(load_catalog(settings.catalog_path), settings.model_repository)


def test_catalog_comes_first_in_its_order_then_the_repository_by_name(registry, settings, repository):
    publish(repository, "zebra")
    publish(repository, "ant")
    names = [model.name for model in registry.all()]
    assert names == [*(entry.alias for entry in load_catalog(settings.catalog_path).entries), "ant", "zebra"]


@pytest.mark.parametrize("name", ["tiny", "org/tiny", "ORG/Tiny"])
def test_alias_and_hub_id_find_the_same_model(registry, name):
    model = registry.find(name)
    assert (model.name, model.entry.hub_id, model.versions) == ("tiny", "org/tiny", [1])


def test_model_that_is_only_in_the_repository_is_found(registry, repository):
    publish(repository, "mine", version=3)
    publish(repository, "mine", version=12)
    model = registry.find("mine")
    assert model.entry is None
    assert model.versions == [3, 12]
    assert registry.servable("mine", "embedding") == model


def test_new_export_is_seen_without_a_restart(registry, repository):
    with pytest.raises(ModelNotFoundError):
        registry.find("mine")
    publish(repository, "mine")
    assert registry.find("mine").versions == [1]
    publish(repository, "mine", version=2)
    assert registry.find("mine").versions == [1, 2]


def test_versions_are_read_once_a_change_of_their_directory(registry, repository, monkeypatch):
    publish(repository, "mine")
    os.utime(repository / "mine", (1, 1))
    assert registry.find("mine").versions == [1]
    monkeypatch.setattr(model_registry, "version_numbers", lambda model_dir: pytest.fail("read again"))
    assert registry.find("mine").versions == [1]


def test_two_changes_at_the_same_time_are_both_seen(registry, repository):
    now = time.time()
    for version in (1, 2):
        publish(repository, "mine", version=version)
        os.utime(repository / "mine", (now, now))
        assert registry.find("mine").versions == list(range(1, version + 1))


@pytest.mark.parametrize("name", ["../mine", "mine/../mine", ".", "", "mine/"])
def test_what_could_be_no_name_is_never_made_into_a_path(registry, repository, name):
    publish(repository, "mine")
    with pytest.raises(ModelNotFoundError):
        registry.find(name)


def test_unknown_model_lists_every_known_one(registry, repository):
    publish(repository, "mine")
    with pytest.raises(ModelNotFoundError) as caught:
        registry.find("nope")
    assert "no model is called 'nope'" in str(caught.value)
    for model in registry.all():
        assert f" {model.name}" in str(caught.value)


@pytest.mark.parametrize("name", ["..", "../repository/mine", ".", "", "/", "mine/1", "mine\n", "mine/", ".staging"])
def test_name_that_is_no_directory_of_the_repository_is_never_found(registry, repository, name):
    publish(repository, "mine")
    publish(repository, ".staging")
    with pytest.raises(ModelNotFoundError):
        registry.find(name)


def test_directories_that_are_no_published_model_are_not_known(registry, repository):
    publish(repository, "unfinished").rename(repository / "unfinished" / ".staging-1")
    (publish(repository, "unconfigured").parent / CONFIG_FILE).unlink()
    (repository / "README.md").write_text("not a model", encoding="utf-8")
    names = {model.name for model in registry.all()}
    assert names.isdisjoint({"unfinished", "unconfigured", "README.md"})


def test_a_model_of_which_something_is_recorded_is_known_without_its_files(settings):
    registry = ModelRegistry(load_catalog(settings.catalog_path), settings.model_repository,
                             is_recorded={"lost", "../x"}.__contains__)
    assert registry.find("lost") == KnownModel("lost", None, [])
    assert "lost" not in {model.name for model in registry.all()}
    with pytest.raises(ModelNotExportedError):
        registry.servable("lost")
    with pytest.raises(ModelNotFoundError):
        registry.find("../x")


def test_repository_that_does_not_exist_has_no_models(settings, tmp_path):
    registry = ModelRegistry(load_catalog(settings.catalog_path), tmp_path / "missing")
    assert registry.find("tiny").versions == []
    assert all(model.entry for model in registry.all())


def test_refused_model_gives_the_catalogs_reason_even_when_it_is_exported(registry, repository):
    publish(repository, "foreign")
    with pytest.raises(ModelNotServableError, match=r"'foreign'.*it runs code from its repository"):
        registry.servable("foreign")


def test_model_that_lives_elsewhere_is_neither_exported_nor_loaded(settings, tmp_path):
    catalog = tmp_path / "elsewhere.toml"
    catalog.write_text('[[models]]\nalias = "big"\ntask = "text-generation"\n'
                       'remote = { url = "http://b/v1", model = "x" }', encoding="utf-8")
    registry = ModelRegistry(load_catalog(catalog), settings.model_repository)
    for refused in (registry.servable, registry.check_exportable):
        with pytest.raises(ModelNotServableError, match=r"http://b/v1 answers for it"):
            refused("big")


def test_model_without_a_version_says_what_to_run(registry):
    with pytest.raises(ModelNotExportedError, match="run `conch export unexported`"):
        registry.servable("org/unexported")


def test_model_of_another_task_is_refused_before_an_export_is_asked_for(registry):
    with pytest.raises(ModelNotServableError, match=r"'writer'.*its task is text-generation, not embedding"):
        registry.servable("writer", "embedding")
    with pytest.raises(ModelNotExportedError):
        registry.servable("writer")


def test_manifest_is_that_of_the_version_asked_for(registry, repository):
    publish(repository, "tiny", version=2)
    model = registry.find("tiny")
    assert [registry.manifest(model, version).version for version in model.versions] == [1, 2]


def test_config_is_read_anew_and_named_when_it_is_missing_or_damaged(registry, repository):
    model, file = registry.find("tiny"), repository / "tiny" / CONFIG_FILE
    file.write_text("backend: 'other'", encoding="utf-8")
    assert registry.triton_config(model) == "backend: 'other'"
    file.write_bytes(b"\xff")
    with pytest.raises(ModelLoadError, match=r"tiny/config\.pbtxt cannot be read"):
        registry.triton_config(model)
    file.unlink()
    with pytest.raises(ModelLoadError, match=r"tiny/config\.pbtxt cannot be read"):
        registry.triton_config(model)


def test_damaged_manifest_is_named(registry, repository):
    (repository / "tiny" / "1" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"tiny/1/manifest\.json"):
        registry.manifest(registry.find("tiny"), 1)
