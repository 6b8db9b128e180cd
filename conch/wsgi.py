"""What gunicorn serves: `gunicorn 'conch.wsgi:create()'`."""

from control_plane.app import create_app
from control_plane.settings import load_settings


def create():
    """Return the application for the settings of the environment."""
    return create_app(load_settings())
