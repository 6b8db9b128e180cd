"""An application over a fake Triton, with a catalog of four models of our own beside the built-in ones."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import flask_openapi3.openapi
import openai
import pytest
from sqlalchemy import make_url
from werkzeug.routing import Rule
from werkzeug.serving import make_server

from control_plane.app import create_app
from control_plane.labelling import resolution
from control_plane.lifecycle.store import Change
from control_plane.services import services as services_of
from control_plane.settings import Settings
from tests.control_plane.fakes import FakeGateway, publish
from tests.databases import create_migrated_file

CATALOG = """
[[models]]
alias = "tiny"
hub_id = "org/tiny"
task = "embedding"
dimension = 8

[[models]]
alias = "unexported"
hub_id = "org/unexported"
task = "embedding"

[[models]]
alias = "writer"
hub_id = "org/writer"
task = "text-generation"

[[models]]
alias = "foreign"
hub_id = "org/foreign"
task = "embedding"
unsupported = "it runs code from its repository"
"""


def migrate(settings: Settings) -> None:
    """Write the database of `settings`, a SQLite file, with the schema of this program, unless it is there."""
    create_migrated_file(Path(make_url(settings.database_address).database))


@pytest.fixture(scope="session", autouse=True)
def routes_are_compiled_once():
    """Three quarters of making an application are compiling its routes and looking for plugins of flask-openapi3.

    A thousand applications are made here, of the same routes in the same environment.
    """
    compiled, compile_builder = {}, Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True):
        key = rule.rule, rule.host, rule.subdomain, repr(rule.defaults), append_unknown
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        patch.setattr(flask_openapi3.openapi, "entry_points", cache(flask_openapi3.openapi.entry_points))
        yield


@pytest.fixture(scope="module")
def only_new_garbage():
    """For /optimize-memory, which collects garbage: it need not look through all that the tests before have left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def certain_second_opinions(monkeypatch):
    """Ids are random, and so is the share of questions by their hash: all are labelled twice where the share is 1."""
    monkeypatch.setattr(resolution, "is_in_overlap", lambda _, share: share == 1.0)


@pytest.fixture
def settings(tmp_path):
    """Settings under tmp_path, with limits that small requests reach; `tiny` version 1 is exported."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.toml").write_text(CATALOG, encoding="utf-8")
    publish(tmp_path / "repository", "tiny")
    return Settings(home=home, model_repository=tmp_path / "repository", preload_models=("tiny",), max_texts=4,
                    max_text_chars=50, max_body_bytes=4000)


@pytest.fixture
def gateway(settings):
    """The fake Triton of `app`, with nothing loaded."""
    return FakeGateway(settings.model_repository)


@pytest.fixture
def app(settings, gateway):
    """An application whose database is the SQLite file under its home, migrated."""
    migrate(settings)
    app = create_app(settings, gateways=[gateway])
    yield app
    services_of(app).database.dispose()


@pytest.fixture
def services(app):
    """The services of `app`."""
    return services_of(app)


@pytest.fixture
def key(app, settings):
    return settings.admin_key_file.read_text(encoding="ascii").strip()


@pytest.fixture
def anonymous(app):
    """A client without a key."""
    return app.test_client()


@pytest.fixture
def client(app, key):
    """A client that sends the key with every request."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def loaded(services):
    """Have `tiny` loaded."""
    services.lifecycle.load("tiny", Change("test"))


@pytest.fixture
def official(app, key):
    """The official client, over HTTP; a proxy of the machine that tests run on is not asked."""
    with serving(app) as address, openai.OpenAI(
            base_url=f"{address}/v1", api_key=key, max_retries=0,
            http_client=openai.DefaultHttpxClient(trust_env=False)) as client:
        yield client


@contextmanager
def serving(app) -> Iterator[str]:
    """Serve an application on loopback; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
