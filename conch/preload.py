"""`python -m conch.preload`: loads CONCH_PRELOAD_MODELS and ends, for where no `conch serve` does it.

What was loaded once stays wanted in the database, so this need not run again.
"""

import logging
import sys
from collections.abc import Callable

from control_plane.lifecycle.store import Change
from control_plane.observability.logs import configure_logging
from control_plane.services import Services, build_services
from control_plane.settings import load_settings
from export.contract import ConchError

_LOG = logging.getLogger(__name__)


def preload_models(services: Services, actor: str, on_model: Callable[[str], None] = lambda name: None) -> list[str]:
    """Load the models of CONCH_PRELOAD_MODELS to stay, and return those that are loaded.

    Raises ModelLoadError with Triton's reason. A model that should be live already is the controller's to bring back:
    where it cannot be loaded now, that is logged, and the others are loaded all the same.
    """
    loaded = []
    for name in services.settings.preload_models:
        on_model(name)
        try:
            services.lifecycle.load(name, Change(actor, "CONCH_PRELOAD_MODELS"), "preload")
        except ConchError as error:
            if not services.store.find(name).is_wanted:
                raise
            _LOG.warning("%s cannot be loaded now: %s", name, error)
        else:
            loaded.append(name)
    services.database.dispose()
    return loaded


def main() -> None:
    """Load them as the settings of the environment say; an error becomes one line and exit status 1."""
    configure_logging()
    try:
        preload_models(build_services(load_settings()), "conch preload")
    except ConchError as error:
        sys.exit(f"conch: {error}")


if __name__ == "__main__":
    main()
