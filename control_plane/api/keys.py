"""REST for API keys: administrators make them, and each tells of itself. A key is in the answer that makes it only."""

from datetime import datetime
from typing import Annotated, Literal

from flask import Response, current_app, g, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from control_plane.access.authenticator import Identity
from control_plane.access.guard import add_audit_detail
from control_plane.access.keys import NAME_PATTERN, ApiKey, check_key_name
from control_plane.access.lifetimes import LIFETIME_PATTERN, parse_lifetime
from control_plane.access.scopes import ADMIN, ANY, SCOPES, needs_scope
from control_plane.database.schema import utc_now
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("keys", __name__, url_prefix="/api/v1/keys", abp_tags=[Tag(name="keys")],
                         abp_security=[{"bearer": []}])


def _check_lifetime(text: str) -> str:
    parse_lifetime(text)
    return text


class KeyBody(BaseModel):
    """What the new key opens, and for how long."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, AfterValidator(check_key_name)] = Field(
        description="Who uses it: the actor in the history and the audit log.",
        json_schema_extra={"pattern": NAME_PATTERN, "example": "search"})
    scopes: list[Literal[SCOPES]] = Field(min_length=1, max_length=len(SCOPES))
    expires: Annotated[str, AfterValidator(_check_lifetime)] | None = Field(
        None, description="How long it is valid, like 90d, 12h or 30m. Default: until it is revoked.",
        json_schema_extra={"pattern": LIFETIME_PATTERN, "example": "90d"})


class KeyPath(BaseModel):
    """Which key."""

    key_id: str = Field(pattern="^[0-9a-f]{12}$", description="The part between `conch_` and the second `_`.")


class KeyDescription(BaseModel):
    """What is kept of a key."""

    id: str
    name: str
    scopes: list[str]
    state: str = Field(description="active, expired or revoked.")
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    revoked_by: str | None
    last_used_at: str | None = Field(description="To within ten minutes.")


class NewKey(KeyDescription):
    """A key that was just made."""

    key: str = Field(description="The key itself. It is shown this once; only its SHA-256 is kept.")


class OwnKey(BaseModel):
    """What the key of a request opens."""

    name: str
    scopes: list[str] = Field(description="With those that they include.")
    expires_at: str | None


class KeyList(BaseModel):
    """Every key that was ever made, oldest first."""

    keys: list[KeyDescription]


@blueprint.post("", responses={"201": NewKey, **problem_responses(400, 401, 413, 415, 422, 503)}, summary="Make a key")
@needs_scope(ADMIN)
def create_key(body: KeyBody):
    """Make a key and show it, this once."""
    lifetime = parse_lifetime(body.expires) if body.expires else None
    key, kept = services(current_app).keys.create(body.name, tuple(body.scopes), lifetime, g.actor)
    add_audit_detail(key_id=kept.id)
    response: Response = jsonify({**describe_key(kept), "key": key})
    response.status_code = 201
    return response


@blueprint.get("", responses={"200": KeyList, **problem_responses(401, 503)}, summary="List the keys")
@needs_scope(ADMIN)
def list_keys():
    """List every key, also those that are no longer valid; never the keys themselves."""
    return {"keys": [describe_key(key) for key in services(current_app).keys.all()]}


@blueprint.get("/self/scopes", responses={"200": OwnKey, **problem_responses(401, 503)}, summary="What this key opens")
@needs_scope(ANY)
def describe_own_key():
    """Tell whose key the request brought and what it opens, so that a page offers nothing that would be refused."""
    identity: Identity = g.identity
    return {"name": identity.name, "scopes": [scope for scope in SCOPES if scope in identity.scopes],
            "expires_at": _iso(identity.expires_at)}


@blueprint.delete("/<key_id>", responses={"200": KeyDescription, **problem_responses(401, 404, 422, 503)},
                  summary="Revoke a key")
@needs_scope(ADMIN)
def revoke_key(path: KeyPath):
    """Revoke a key for good. Within five seconds no worker accepts it."""
    return describe_key(services(current_app).keys.revoke(path.key_id, g.actor))


def describe_key(key: ApiKey) -> dict:
    """Return what may be shown of a key."""
    return {"id": key.id, "name": key.name, "scopes": list(key.scopes), "state": key.state(utc_now()),
            "created_by": key.created_by, "revoked_by": key.revoked_by,
            **{field: _iso(getattr(key, field)) for field in ("created_at", "expires_at", "revoked_at",
                                                              "last_used_at")}}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
