"""The services of one application, made by the factory and reached through it; there are no globals."""

from dataclasses import dataclass

from flask import Flask

from control_plane.model_service import ModelService
from control_plane.settings import Settings

_EXTENSION = "conch"


@dataclass(frozen=True)
class Services:
    """What the routes call."""

    settings: Settings
    models: ModelService


def attach_services(app: Flask, attached: Services) -> None:
    """Give `app` its services."""
    app.extensions[_EXTENSION] = attached


def services(app: Flask) -> Services:
    """Return the services of `app`."""
    return app.extensions[_EXTENSION]
