"""`conch serve` starts nothing over a schema that is not its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from control_plane.database import migration
from tests.ports import free_port

CONCH = str(Path(sys.executable).with_name("conch"))
LIMIT_S = 120


@pytest.fixture
def serve(database_url, tmp_path):
    """Run `conch serve` without models over the database; gives the finished process."""
    environment = {**os.environ, "CONCH_HOME": str(tmp_path / "home"), "CONCH_DATABASE_URL": database_url,
                   "CONCH_MODEL_REPOSITORY": str(tmp_path), "CONCH_PRELOAD_MODELS": ",",
                   "CONCH_TRITON_URLS": "127.0.0.1:1", "CONCH_HTTP_PORT": str(free_port())}
    return lambda: subprocess.run([CONCH, "serve"], env=environment, capture_output=True, text=True, timeout=LIMIT_S)


@pytest.mark.parametrize(("schema", "says"), [("none", "run `conch db upgrade`"), ("0001", "run `conch db upgrade`"),
                                              ("9999", "conch db downgrade")])
def test_serve_refuses_with_one_line_that_says_what_to_run(serve, empty_database, schema, says):
    if schema != "none":
        migration.upgrade(empty_database)
        migration.downgrade(empty_database, "0001")
        with empty_database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :schema"), {"schema": schema})
    done = serve()
    assert done.returncode == 1
    assert f"is of revision {schema}" in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert migration.current_revision(empty_database) == (None if schema == "none" else schema)
