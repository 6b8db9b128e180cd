"""Who may import whom (docs/architecture.md), read from the code itself. Each exemption states its reason."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.meta.source_tree import PACKAGES, imported_modules, imports_in_functions, modules, uses_environment

OURS = {module.name for module in modules(*PACKAGES)}
FLOWS = [name for name in ("serving", "training", "control_plane", "export") if name in PACKAGES]

# What everyone shares; the web process and Triton's backends read it, so it needs nothing but Python itself.
SHARED = {"export.contract", "export.manifest", "export.catalog", "export.errors"}
STANDARD_LIBRARY_AND = {"tomllib", "tomli"}  # Python 3.10 has only the second, as a package.
# export.errors is shared only because the catalog raises it.
SHARED_WITH_OTHERS = SHARED - {"export.errors"}

OWNERS = {
    # The first talks to servers, the second for it where answers stream; the others use message classes only.
    "tritonclient": ("control_plane/triton_gateway.py", "control_plane/triton_generation.py",
                     "control_plane/triton_messages.py", "control_plane/triton_config.py"),
    "grpc": ("control_plane/triton_gateway.py", "control_plane/triton_generation.py"),
    "alembic": "control_plane/database/",
    "sqlalchemy": "control_plane/",
    "httpx": "control_plane/providers/openai_endpoint.py",
    "huey": "control_plane/jobs/wake_queue.py",
    "ahocorasick": "control_plane/intents/keyword_rules.py",
    "triton_python_backend_utils": ("serving/backends/text_encoder/model.py",
                                    "serving/backends/text_generator/model.py"),
    "numba": "serving/generator/native/",
    "llvmlite": "serving/generator/native/",
    "llguidance": "serving/generator/constraints.py",
    "flask_openapi3": "control_plane/",
    "flask": "control_plane/",
    "flask_limiter": "control_plane/access/limits.py",
    "limits": "control_plane/access/limits.py",
    "boto3": "export/sources/s3.py",
    "huggingface_hub": "export/sources/hub.py",
    "torch": ("export/", "training/"),
    "sentence_transformers": ("export/", "training/"),
}

ENVIRONMENT_EXEMPTIONS = {
    "control_plane/settings.py": "it is the one that reads the environment",
    "serving/triton/server.py": "hands the environment on to Triton, with Triton's libraries added",
    "serving/perf_analyzer.py": "hands the environment on to pip and perf_analyzer, with its libraries added",
    "serving/backends/text_encoder/model.py": "writes the tokeniser's thread count, which has no other switch",
    "control_plane/api/event_stream.py": "reads WSGI's environ of one request, not the process's",
    "export/decoder_builder.py": "hands the environment on to the model builder, and keeps it off the network",
    "export/sources/pypi.py": "hands the environment on to pip, whose own settings hold",
    "export/sources/hub.py": "reads HF_ENDPOINT, which belongs to the hub's clients and not to Conch",
}

LAZY_IMPORT_EXEMPTIONS = {
    "conch/cli.py": "imports a command's module when that command runs: most of them pull in heavy packages",
    "conch/job_process.py": "imports the one kind that its job is of, once its lease is safe; an export pulls in torch",
    "conch/commands/export.py": "torch takes seconds; --help, --if-missing and a wrong option should not wait for it",
    "conch/commands/tuning.py": "torch takes seconds; a start that finds the model trained should not wait for it",
    "serving/generator/decoder.py": "numba takes half a second and 60 MB, and most decoders do without it",
    "serving/decode.py": "as the one before: the gate of every decoder runs it",
    "serving/encoder/engine.py": "imports the one engine that the manifest names; the other may not be installed",
}


def test_the_reader_sees_the_packages():
    assert len(OURS) > 40
    assert OURS >= SHARED


def test_shared_modules_need_nothing_but_the_standard_library_and_each_other():
    allowed = sys.stdlib_module_names | STANDARD_LIBRARY_AND
    for module in modules("export"):
        if module.name in SHARED:
            foreign = {name for name in imported_modules(module.tree, OURS)
                       if name not in SHARED and name.partition(".")[0] not in allowed}
            assert not foreign, module.path
        elif module.name == "export":
            assert not imported_modules(module.tree), "importing export.contract runs this file too"


@pytest.mark.parametrize("package", FLOWS)
def test_flows_meet_only_in_the_shared_modules(package):
    for module in modules(package):
        ours = {name for name in imported_modules(module.tree, OURS) if name.partition(".")[0] in PACKAGES}
        foreign = {name for name in ours if name.partition(".")[0] != package}
        assert foreign <= SHARED_WITH_OTHERS, module.path


def test_only_the_command_line_may_know_them_all():
    for module in modules(*FLOWS):
        outside = {name.partition(".")[0] for name in imported_modules(module.tree)}
        assert outside.isdisjoint({"conch", "benchmarks", "tests", "tools"}), module.path


@pytest.mark.parametrize("foreign", OWNERS)
def test_one_place_owns_each_outside_system(foreign):
    users = {module.path for module in modules(*PACKAGES)
             if foreign in {name.partition(".")[0] for name in imported_modules(module.tree)}}
    assert users, f"nothing imports {foreign} any more; take it out of OWNERS"
    assert all(path.startswith(OWNERS[foreign]) for path in users), users


def test_only_the_database_package_opens_connections_and_sessions():
    """Others describe tables and use the sessions that control_plane.database.database hands them."""
    openers = {"create_engine", "sessionmaker", "scoped_session", "Session"}
    calls = {module.path for module in modules("conch", "control_plane") for node in ast.walk(module.tree)
             if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in openers}
    assert calls == {"control_plane/database/database.py"}


def test_only_the_settings_read_the_environment():
    users = {module.path for module in modules(*PACKAGES) if uses_environment(module.tree)}
    assert users == set(ENVIRONMENT_EXEMPTIONS)


def test_no_import_hides_in_a_function():
    hiding = {module.path for module in modules(*PACKAGES) if any(imports_in_functions(module.tree))}
    assert hiding == set(LAZY_IMPORT_EXEMPTIONS)


def test_no_import_cycles():
    everything = modules(*PACKAGES, "benchmarks", "tools")
    ours = {module.name for module in everything}
    graph = {module.name: imported_modules(module.tree, ours) & ours for module in everything}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("modules import each other: " + " -> ".join(error.args[1]))
    assert len(order) == len(graph)


@pytest.mark.parametrize(("code", "name"), [
    ("import os.path", "os.path"), ("from export import contract", "export.contract"),
    ("from export.contract import ConchError", "export.contract"), ("def f():\n    import torch", "torch"),
])
def test_the_reader_finds_every_kind_of_import(code, name):
    assert imported_modules(ast.parse(code), OURS) == {name}


@pytest.mark.parametrize("code", [
    "import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ", "from os import getenv as g"])
def test_the_reader_finds_every_use_of_the_environment(code):
    assert uses_environment(ast.parse(code))
    assert not uses_environment(ast.parse("import os\nos.cpu_count()\nenviron = 1"))
