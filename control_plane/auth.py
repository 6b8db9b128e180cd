"""Checks the API key of a request. Knows nothing of what the request asks for."""

import hashlib
import hmac

from flask import Flask, Request, request

from control_plane.errors import AuthenticationError

PUBLIC_PATHS = frozenset({"/health", "/ready"})


def require_key(app: Flask, key: str) -> None:
    """Refuse every request without `key`, except on PUBLIC_PATHS."""
    expected = _digest(key)

    @app.before_request
    def check_key() -> None:
        if request.path not in PUBLIC_PATHS and not hmac.compare_digest(_digest(given_key(request)), expected):
            raise AuthenticationError


def given_key(incoming: Request) -> str:
    """Return the key that a request brings: a bearer token, X-API-Key, or the password of HTTP basic (for browsers)."""
    authorization = incoming.authorization
    if authorization is not None and authorization.type == "bearer":
        return authorization.token or ""
    if authorization is not None and authorization.type == "basic":
        return authorization.password or ""
    return incoming.headers.get("X-API-Key", "")


def _digest(key: str) -> bytes:
    """Equal lengths keep the comparison from telling how long the right key is."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
