"""What routes that change something share: who asks and why, If-Match against lost updates (RFC 9110, 13.1.1), jobs."""

import re

import orjson
from flask import Response, g, request, url_for

from control_plane.errors import InvalidRequestError
from control_plane.lifecycle.store import Change

_REVISION = re.compile(r"[0-9]{1,18}")


def change(reason: str) -> Change:
    """Return who makes this request, and why."""
    return Change(g.actor, reason)


def expected_revision() -> int | None:
    """Return the revision that If-Match names, None where the caller takes any; raises InvalidRequestError."""
    etags = request.if_match
    if not etags or etags.star_tag:
        return None
    values = list(etags.as_set(include_weak=True))
    if len(values) != 1 or not _REVISION.fullmatch(values[0] or ""):
        raise InvalidRequestError("If-Match", f"{request.headers['If-Match']} is no ETag of this API, like \"3\"")
    return int(values[0])


def answer_with_revision(body: dict) -> Response:
    """Answer with the model's revision as the ETag."""
    response = Response(orjson.dumps(body), content_type="application/json")
    response.set_etag(str(body["revision"]))
    return response


def answer_with_job(job: dict) -> Response:
    """Answer that a job has been queued, and where to follow it."""
    response = Response(orjson.dumps(job), 202, content_type="application/json")
    response.headers["Location"] = url_for("jobs.describe_job", job_id=job["id"])
    return response
