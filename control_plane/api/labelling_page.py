"""Serves the page for people who label, and the files it is made of. It holds nothing: its scripts ask the REST API.

The page needs no key, for it is what asks for one. It runs scripts of its own only.
"""

from pathlib import Path

from flask import Response, abort, send_from_directory
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel

from control_plane.access.scopes import ANYONE, needs_scope

# Not among the documented routes: it is for people, who find it in docs/labelling.md.
blueprint = APIBlueprint("labelling_page", __name__, url_prefix="/label", doc_ui=False)

_FOLDER = Path(__file__).parents[1] / "labelling_page"
_PAGE = "index.html"
# Python's own table depends on the machine, and a script of another type does not run (nosniff).
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Inline styles are for the gate's report alone, which is shown in a frame without scripts and inherits this policy.
# Forms go nowhere: one that no script took over would put what was typed, such as the key, into the address.
_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


class FilePath(BaseModel):
    """Which file."""

    name: str


@blueprint.get("")
@needs_scope(ANYONE)
def show_page():
    """Show the page."""
    return _send(_PAGE, "text/html")


@blueprint.get("/<string:name>")
@needs_scope(ANYONE)
def send_file(path: FilePath):
    """Send one of the page's files; 404 for what is none of them."""
    mimetype = _TYPES.get(Path(path.name).suffix)
    if mimetype is None:
        abort(404)
    return _send(path.name, mimetype)


def _send(name: str, mimetype: str) -> Response:
    """Send a file that browsers keep and ask about each time, so that page and scripts are always of one release."""
    response = send_from_directory(_FOLDER, name, mimetype=mimetype)
    response.headers["Content-Security-Policy"] = _POLICY
    return response
