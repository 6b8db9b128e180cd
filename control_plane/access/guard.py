"""Lets requests pass by their key and its scope, and writes the audit log. Knows nothing of what a request asks for."""

import logging

import orjson
from flask import Flask, Request, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from control_plane.access.audit import DENIED, AuditEntry, AuditLog
from control_plane.access.authenticator import Authenticator, Identity
from control_plane.access.denials import Denials
from control_plane.access.key_format import find_key_id, hide_keys
from control_plane.access.scopes import ADMIN, ANY, ANYONE, INFER, PROMOTE, PUBLIC_PATHS, View, stated_scope
from control_plane.database.schema import utc_now
from control_plane.errors import AuthenticationError, DatabaseError, InsufficientScopeError
from control_plane.observability.request_context import current_request_id

# Flask-OpenAPI3's own blueprints: the document, and the page that shows it.
_DOCUMENTATION = frozenset({"openapi", "swagger"})
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Bodies of these say what an administrator wanted; those of other scopes hold texts, which must stay deletable.
_KEEPS_BODY = frozenset({ADMIN, PROMOTE})
_BODY_MAX_CHARS = 2000
_HIDES_BODY = "hides_body"
_LOG = logging.getLogger(__name__)


class Guard:
    """Stands before the routes of one application."""

    def __init__(self, authenticator: Authenticator, audit: AuditLog) -> None:
        self._authenticator, self._audit = authenticator, audit
        self._denials = Denials(audit)

    def protect(self, app: Flask) -> None:
        """Check every request but those to PUBLIC_PATHS and to what is for ANYONE, and record every change."""
        app.before_request(lambda: self._admit(app))
        app.after_request(self._record)

    def _admit(self, app: Flask) -> None:
        if request.path in PUBLIC_PATHS:
            return
        key, scope = given_key(request), required_scope(app, request.endpoint)
        if scope == ANYONE:
            return
        identity = None
        try:
            identity = self._authenticator.identify(key)
            g.actor = identity.name
            identity.check(scope, utc_now())
        except (AuthenticationError, InsufficientScopeError) as error:
            self._deny(error, key, scope, identity)
            raise
        g.identity, g.scope = identity, scope

    def _deny(self, error: Exception, key: str, scope: str, identity: Identity | None) -> None:
        reason = type(error).__name__
        if isinstance(error, InsufficientScopeError):
            reason = f"{reason}: {scope}"
        key_id = identity.key_id if identity else None
        claimed = {} if identity else {"claimed_key_id": find_key_id(key)}
        self._denials.add(AuditEntry(
            identity.name if identity else "", DENIED, f"{request.method} {request.path}", key_id,
            403 if isinstance(error, InsufficientScopeError) else 401, claimed, **_origin()), reason)

    def _record(self, response: Response) -> Response:
        """Record a change by the answer that it got. One that was sent away untried (429) was none."""
        scope = g.get("scope")
        if (request.method not in _CHANGING or scope in (None, ANY, INFER) or request.endpoint is None
                or response.status_code == 429):
            return response
        identity: Identity = g.identity
        entry = AuditEntry(identity.name, request.endpoint, f"{request.method} {request.path}", identity.key_id,
                           response.status_code, _detail(scope), **_origin())
        try:
            self._audit.append(entry)
        except DatabaseError as error:
            _LOG.error("a change is not in the audit log: %s; it was %s", error, entry)
        return response


def required_scope(app: Flask, endpoint: str | None) -> str:
    """Return the scope that a route needs; where it states none, that is ADMIN, so that forgetting opens nothing."""
    if endpoint is None or endpoint.partition(".")[0] in _DOCUMENTATION:
        return ANY  # There is no such path or method, and every caller with a key may learn so.
    return stated_scope(app.view_functions[endpoint]) or ADMIN


def add_audit_detail(**values: str) -> None:
    """Put something that only the route knows into the audit log's line for this request."""
    g.audit_detail = {**g.get("audit_detail", {}), **values}


def hides_body(view: View) -> View:
    """Decorate a route whose body names a person: the audit log, which nobody can erase from, does not keep it."""
    setattr(view, _HIDES_BODY, True)
    return view


def given_key(incoming: Request) -> str:
    """Return the key that a request brings: a bearer token, X-API-Key, or the password of HTTP basic (for browsers)."""
    authorization = incoming.authorization
    if authorization is not None and authorization.type == "bearer":
        return authorization.token or ""
    if authorization is not None and authorization.type == "basic":
        return authorization.password or ""
    return incoming.headers.get("X-API-Key", "")


def _detail(scope: str) -> dict | None:
    detail = dict(g.get("audit_detail", {}))
    may_keep = scope in _KEEPS_BODY and not hasattr(current_app.view_functions[request.endpoint], _HIDES_BODY)
    if may_keep and (body := _short_body()) is not None:
        detail["body"] = body
    return detail or None


def _short_body() -> object:
    """Return the JSON of the request without keys; None where it has none, or one that is too long to keep."""
    try:
        body = request.get_json(silent=True) if request.is_json else None
    except HTTPException:  # It is larger than allowed, or never came; that was answered already.
        return None
    text = hide_keys(orjson.dumps(body).decode())
    return orjson.loads(text) if len(text) <= _BODY_MAX_CHARS else None


def _origin() -> dict[str, str | None]:
    """Where the request came from, for the audit log."""
    return {"remote_address": request.remote_addr, "request_id": current_request_id() or None}
