"""Log lines as JSON, one object a line, with the request they belong to. Knows nothing of Flask and gunicorn.

A field of one's own goes in as `extra={"fields": {...}}`.
"""

import json
import logging
from datetime import datetime, timezone

from control_plane.access.key_format import hide_keys
from control_plane.observability.request_context import current_request

_ENCODER = json.JSONEncoder(default=str)  # json.dumps would make one for each line.


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON in ASCII, so that no text in it can break the line or the encoding."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: ts, level, logger, message, request_id, model, the record's fields, exception."""
        line = {"ts": _iso(record.created), "level": record.levelname.lower(), "logger": record.name,
                "message": record.getMessage()}
        request = current_request()
        if request is not None:
            line["request_id"] = request.request_id
            if request.model is not None:
                line["model"] = request.model
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return hide_keys(_ENCODER.encode(line))  # A path may hold an API key, by a caller's mistake.


def configure_logging() -> None:
    """Have this process log lines of JSON to standard error, from INFO on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _iso(created_s: float) -> str:
    return datetime.fromtimestamp(created_s, timezone.utc).isoformat(timespec="milliseconds")
