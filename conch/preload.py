"""`python -m conch.preload`: loads CONCH_PRELOAD_MODELS and ends, for where no `conch serve` does it.

What was loaded once stays wanted in the database, so this need not run again.
"""

import sys
from collections.abc import Callable

from control_plane.lifecycle.store import Change
from control_plane.observability.logs import configure_logging
from control_plane.services import Services, build_services
from control_plane.settings import load_settings
from export.contract import ConchError


def preload_models(services: Services, actor: str, on_model: Callable[[str], None] = lambda name: None) -> None:
    """Load the models of CONCH_PRELOAD_MODELS to stay; raises ModelLoadError with Triton's reason."""
    for name in services.settings.preload_models:
        on_model(name)
        services.lifecycle.load(name, Change(actor, "CONCH_PRELOAD_MODELS"), "preload")
    services.database.dispose()


def main() -> None:
    """Load them as the settings of the environment say; an error becomes one line and exit status 1."""
    configure_logging()
    try:
        preload_models(build_services(load_settings()), "conch preload")
    except ConchError as error:
        sys.exit(f"conch: {error}")


if __name__ == "__main__":
    main()
