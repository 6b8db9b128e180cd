"""Keys of an application under test, the clients that send them, and what the audit log says of both."""

from flask import Flask
from flask.testing import FlaskClient

from control_plane.access.keys import ApiKey
from control_plane.access.tables import AuditRow
from control_plane.services import services


class Keys:
    """Makes keys in the application's own store."""

    def __init__(self, app: Flask, root: str) -> None:
        self._app, self.root = app, root

    def make(self, *scopes: str, lifetime=None, name: str = "someone") -> tuple[str, ApiKey]:
        """Return a key and what is kept of it."""
        return services(self._app).keys.create(name, scopes, lifetime, "test")

    def client(self, *scopes: str, name: str = "someone") -> FlaskClient:
        """Return a client with a new key."""
        return self.client_with(self.make(*scopes, name=name)[0])

    def client_with(self, key: str) -> FlaskClient:
        """Return a client that sends `key` with every request."""
        client = self._app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    def revoke(self, key: ApiKey) -> None:
        """Revoke a key behind the application's back, as another process would."""
        services(self._app).keys.revoke(key.id, "test")

    def audited(self) -> list[AuditRow]:
        """Return the audit log, oldest line first."""
        return services(self._app).audit.page(1000)[::-1]
