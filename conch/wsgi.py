"""What gunicorn serves: `gunicorn 'conch.wsgi:create()'`."""

import atexit
import gc

from control_plane.app import create_app
from control_plane.observability.logs import configure_logging
from control_plane.services import services
from control_plane.settings import load_settings


def create():
    """Return the application for the settings of the environment, with everything that a process of its own needs."""
    configure_logging()
    app = create_app(load_settings())
    atexit.register(services(app).usage.close)
    atexit.register(services(app).tuning.rule_usage.close)
    atexit.register(services(app).tuning.recognition.close)
    # What is there now stays. Without this the collector looks through all of it now and then: 0.1 s for every request.
    gc.collect()
    gc.freeze()
    return app
