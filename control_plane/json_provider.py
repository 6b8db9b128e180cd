"""JSON through orjson: it writes NumPy rows directly and refuses text that is not valid Unicode."""

from typing import NoReturn

import orjson
from flask import Request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import BadRequest


class OrjsonProvider(JSONProvider):
    """Flask's JSON interface on orjson."""

    def dumps(self, obj: object, **_: object) -> str:
        """Serialise `obj`, NumPy arrays included."""
        return orjson.dumps(obj, option=orjson.OPT_SERIALIZE_NUMPY).decode()

    def loads(self, s: str | bytes, **_: object) -> object:
        """Parse JSON; raises a ValueError that says where it is wrong."""
        return orjson.loads(s)

    def response(self, *args: object, **kwargs: object):
        """Make a JSON response without decoding the bytes in between."""
        body = orjson.dumps(self._prepare_response_obj(args, kwargs), option=orjson.OPT_SERIALIZE_NUMPY)
        return self._app.response_class(body, mimetype="application/json")


class JsonRequest(Request):
    """A request whose JSON errors say where the body is wrong."""

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Refuse a body that is not JSON (400), or not declared as such (415)."""
        if e is None:
            return super().on_json_loading_failed(e)
        raise BadRequest(f"the body is not JSON: {e}")
