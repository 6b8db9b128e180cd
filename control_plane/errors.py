"""The errors of the control plane; control_plane.problems maps each to HTTP, once.

    ConchError
    ├── SecretError                    a key file is empty or unreadable (control_plane.secrets_store)
    ├── SettingsError                  an environment variable is wrong (control_plane.settings)
    └── ControlPlaneError
        ├── AuthenticationError        no API key, or a wrong one
        ├── InvalidRequestError        a request that validation alone cannot judge
        ├── ModelNotFoundError         no model of that name is known
        ├── ModelNotServableError      the catalog says why it cannot be served, or it does another task
        ├── ModelNotExportedError      known, but without a version in the repository
        ├── ModelNotLoadedError        exported, but not loaded in Triton
        ├── ModelLoadError             Triton refused to load it; what was served before still is
        ├── InferenceRejectedError     the model refused these texts or options
        ├── InferenceError             Triton could not compute the answer
        ├── InferenceTimeoutError      Triton did not answer in time
        └── TritonUnavailableError     Triton cannot be reached
"""

from export.contract import ConchError


class ControlPlaneError(ConchError):
    """Anything that the control plane answers with an error."""


class AuthenticationError(ControlPlaneError):
    """The request brings no API key, or one that is not valid."""

    def __init__(self) -> None:
        super().__init__("send an API key: 'Authorization: Bearer <key>' (the first start wrote one to admin.key)")


class InvalidRequestError(ControlPlaneError):
    """A field holds a value that cannot be used; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class ModelNotFoundError(ControlPlaneError):
    """No model of that name is known."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model is called {name!r}; known models: {', '.join(known)}")
        self.name = name


class ModelNotServableError(ControlPlaneError):
    """The model is known but cannot do what was asked."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"model {name!r} cannot be used here: {reason}")
        self.name = name


class ModelNotExportedError(ControlPlaneError):
    """The model is known but has no version in the repository."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} has not been exported yet; run `conch export {name}`")
        self.name = name


class ModelNotLoadedError(ControlPlaneError):
    """The model has versions but none is loaded."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} is not loaded; load it with POST /api/v1/models/load "
                         f'{{"model_type": "{name}"}}')
        self.name = name


class ModelLoadError(ControlPlaneError):
    """Triton refused a load or an unload; what was served before still is."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"model {name!r}: {reason}")
        self.name = name


class InferenceRejectedError(ControlPlaneError):
    """The model refused the texts or the options of one request."""


class InferenceError(ControlPlaneError):
    """Triton could not compute an answer."""


class InferenceTimeoutError(ControlPlaneError):
    """Triton did not answer in time."""


class TritonUnavailableError(ControlPlaneError):
    """Triton cannot be reached."""
