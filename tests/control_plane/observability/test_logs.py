import json
import logging

import pytest

from control_plane.observability.logs import JsonFormatter, configure_logging
from control_plane.observability.request_context import begin_request, end_request, note_model


@pytest.fixture
def log(caplog):
    """Format what is logged, as a process would write it."""
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.INFO)
    return lambda: [json.loads(line) for line in caplog.text.splitlines()]


def test_a_line_says_when_how_grave_who_and_what(log):
    logging.getLogger("conch.test").warning("model %s", "tiny")
    line, = log()
    assert line.pop("ts").endswith("+00:00")
    assert line == {"level": "warning", "logger": "conch.test", "message": "model tiny"}


def test_a_line_of_a_request_names_it_and_its_model(log):
    begin_request("abc")
    note_model("tiny")
    logging.getLogger("conch.test").info("inside")
    end_request()
    logging.getLogger("conch.test").info("outside")
    inside, outside = log()
    assert (inside["request_id"], inside["model"]) == ("abc", "tiny")
    assert not {"request_id", "model"} & set(outside)


def test_fields_and_exceptions_are_in_the_line(log):
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logging.getLogger("conch.test").exception("failed", extra={"fields": {"status": 500, "path": object()}})
    line, = log()
    assert line["status"] == 500
    assert isinstance(line["path"], str)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: bad\nthing")


@pytest.mark.parametrize("text", ["two\nlines", "\ud800", "你好", 'a "quote"', "\x00", "\u2028"])
def test_no_text_breaks_the_line(text):
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (text,), None)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_configured_logging_writes_lines_to_standard_error(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # pytest's own, which configuring would close.
    try:
        configure_logging()
        logging.getLogger("conch.test").info("seen")
        logging.getLogger("conch.test").debug("not seen")
    finally:
        root.handlers, root.level = handlers, level
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["seen"]
