"""An application without any Triton: access is decided before one is asked."""

import pytest

from control_plane.app import create_app
from control_plane.services import services
from control_plane.settings import Settings
from tests.control_plane.access.clients import Keys
from tests.control_plane.conftest import migrate


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "repository").mkdir()
    return Settings(home=tmp_path / "home", model_repository=tmp_path / "repository", max_body_bytes=4000)


@pytest.fixture
def make_app(settings):
    """Return a function that makes the application, with its tables."""
    made = []

    def make(settings=settings):
        migrate(settings)
        made.append(create_app(settings, gateways=[]))
        return made[-1]

    yield make
    for app in made:
        services(app).database.dispose()


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def anonymous(app):
    """A client without a key."""
    return app.test_client()


@pytest.fixture
def root(app, settings):
    """The key in admin.key."""
    return settings.admin_key_file.read_text(encoding="ascii").strip()


@pytest.fixture
def keys(app, root):
    """Makes keys, and clients that send them."""
    return Keys(app, root)


@pytest.fixture
def admin(keys, root):
    """A client with the key in admin.key."""
    return keys.client_with(root)
