"""The errors of the control plane; control_plane.problems maps each to HTTP, once.

    ConchError
    ├── SecretError                    a key file is empty or unreadable (control_plane.secrets_store)
    ├── SettingsError                  an environment variable is wrong (control_plane.settings)
    └── ControlPlaneError
        ├── AuthenticationError        no API key, or a wrong one
        │   ├── KeyExpiredError        the right key, but its time is over
        │   └── KeyRevokedError        the right key, but an administrator revoked it
        ├── InsufficientScopeError     the key is valid, but not for this
        ├── KeyNotFoundError           no key has that id
        ├── RateLimitError             more requests with one key than are allowed
        ├── ConcurrencyError           more requests at once than one process takes
        ├── InvalidRequestError        a request that validation alone cannot judge
        ├── ModelNotFoundError         no model of that name is known
        ├── ModelNotServableError      the catalog says why it cannot be served, or it does another task
        ├── ModelNotExportedError      known, but without a version in the repository
        ├── ModelNotLoadedError        exported, but not loaded in Triton
        ├── ModelLoadError             Triton refused to load it; what was served before still is
        │   └── WrongAnswerError       it loaded but does not answer its golden text as its export did
        ├── InferenceRejectedError     the model refused these texts or options
        ├── InferenceError             Triton could not compute the answer
        │   └── GenerationError        a generator could not go on with a text
        ├── InferenceTimeoutError      Triton did not answer in time
        ├── BrokenModelError           a model's process has died; it is being reloaded
        ├── TritonUnavailableError     Triton cannot be reached
        │   └── OverloadedError        it can, but too many requests wait for the model
        ├── VersionNotFoundError       the model has no such version
        ├── VersionRefusedError        the version is not one that may become active
        ├── StaleRevisionError         the model was changed since the caller looked at it (If-Match)
        ├── InsufficientMemoryError    a model does not fit into the memory budget, or ran out of memory
        ├── DeviceNotAvailableError    a model cannot run on the device that was asked for
        ├── BusyError                  another operation on the same thing is under way
        ├── JobNotFoundError           no job has that id
        ├── JobStateError              the job is not in a state in which that can be done to it
        ├── IdempotencyConflictError   the Idempotency-Key was used before, for another request
        ├── ProviderError              a server elsewhere, which answers for a model, failed
        │   ├── ProviderUnavailableError   it cannot be reached, or has no capacity now
        │   ├── ProviderTimeoutError   it did not answer in time
        │   └── ProviderRejectedError  it refused this request
        ├── …                          those of the tuning loop (control_plane.tuning_errors)
        └── DatabaseError
            ├── DatabaseUnavailableError   the database cannot be reached, or did not answer in time
            ├── DuplicateRowError          a row with that key is there already
            └── SchemaError                the schema is older or newer than this program
"""

from datetime import datetime

from export.contract import ConchError


class ControlPlaneError(ConchError):
    """Anything that the control plane answers with an error."""


class AuthenticationError(ControlPlaneError):
    """The request brings no API key, or one that is not valid."""

    def __init__(self, message: str = "send an API key: 'Authorization: Bearer <key>' (the first start wrote one to "
                                      "admin.key)") -> None:
        super().__init__(message)


class KeyExpiredError(AuthenticationError):
    """The key was valid once; only who has the whole key learns so."""

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"this API key expired at {expired_at:%Y-%m-%d %H:%M} UTC; ask an administrator for a new one "
                         "(`conch keys create`)")


class KeyRevokedError(AuthenticationError):
    """The key was valid once; only who has the whole key learns so."""

    def __init__(self, revoked_at: datetime) -> None:
        super().__init__(f"this API key was revoked at {revoked_at:%Y-%m-%d %H:%M} UTC; ask an administrator for a new "
                         "one (`conch keys create`)")


class InsufficientScopeError(ControlPlaneError):
    """The key is valid, but has no scope that this needs."""

    def __init__(self, name: str, needed: str) -> None:
        super().__init__(f"the API key {name!r} lacks the scope {needed!r}, which this needs; ask an administrator "
                         f"for a key with it (`conch keys create NAME --scope {needed}`)")
        self.needed = needed


class KeyNotFoundError(ControlPlaneError):
    """No key has that id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no API key has the id {key_id!r}; `conch keys list` shows the ids")


class RateLimitError(ControlPlaneError):
    """One key was used more often than is allowed."""

    def __init__(self, limit: str, retry_after_s: int) -> None:
        super().__init__(f"more requests than {limit} with this key; try again in {retry_after_s} s (CONCH_RATE_LIMIT)")
        self.retry_after_s = retry_after_s


class ConcurrencyError(ControlPlaneError):
    """One process has as many requests, or requests of a kind, under way as it takes."""

    retry_after_s = 1

    def __init__(self, limit: int, setting: str = "CONCH_MAX_CONCURRENT_REQUESTS") -> None:
        super().__init__(f"{limit} requests are under way; try again in {self.retry_after_s} s ({setting})")


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


class WrongAnswerError(ModelLoadError):
    """A version loaded but does not answer its golden text as its export did."""

    def __init__(self, name: str, version: int, how: str) -> None:
        super().__init__(name, f"version {version} does not answer its golden text as its export did: {how}")
        self.version = version


class InferenceRejectedError(ControlPlaneError):
    """The model refused the texts or the options of one request."""


class InferenceError(ControlPlaneError):
    """Triton could not compute an answer."""


class GenerationError(InferenceError):
    """A generator could not go on with a text; what it had written before was given out."""


class InferenceTimeoutError(ControlPlaneError):
    """Triton did not answer in time."""


class TritonUnavailableError(ControlPlaneError):
    """Triton cannot be reached."""


class OverloadedError(TritonUnavailableError):
    """Too many requests wait for a model; another Triton, or a moment later, may have room."""


class BrokenModelError(ControlPlaneError):
    """A model's process in Triton has died; the reconciler reloads it."""


class VersionNotFoundError(ControlPlaneError):
    """The model has no such version."""

    def __init__(self, name: str, version: int, known: list[int]) -> None:
        super().__init__(f"model {name!r} has no version {version}; it has {', '.join(map(str, known)) or 'none'}")
        self.name, self.version = name, version


class VersionRefusedError(ControlPlaneError):
    """A version exists but may not become active; the one that was active still is."""

    def __init__(self, name: str, version: int, reason: str) -> None:
        super().__init__(f"version {version} of model {name!r}: {reason}")
        self.name, self.version = name, version


class StaleRevisionError(ControlPlaneError):
    """The model was changed since the caller looked at it."""

    def __init__(self, name: str, current: int) -> None:
        super().__init__(f"model {name!r} was changed meanwhile and is of revision {current} now; look at it again "
                         "before you change it")
        self.name = name


class InsufficientMemoryError(ControlPlaneError):
    """A model does not fit into the memory budget or ran out of memory, whatever is unloaded for it."""

    def __init__(self, name: str, figures: str) -> None:
        super().__init__(f"model {name!r} does not fit into memory: {figures}")
        self.name = name


class DeviceNotAvailableError(ControlPlaneError):
    """A model cannot run on the device that was asked for."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"device {device!r} is not available: {reason}")
        self.device = device


class BusyError(ControlPlaneError):
    """Another operation on the same thing is under way."""


class JobNotFoundError(ControlPlaneError):
    """No job has that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}; GET /api/v1/jobs lists them")


class JobStateError(ControlPlaneError):
    """The job is not in a state in which that can be done to it; nothing was changed."""

    def __init__(self, job_id: str, state: str, rule: str) -> None:
        super().__init__(f"job {job_id} is {state}; {rule}")


class IdempotencyConflictError(ControlPlaneError):
    """The Idempotency-Key was used before, for another request; nothing was queued."""

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(f"the Idempotency-Key {key!r} belongs to another request, job {job_id}; send each request "
                         "with a key of its own")


class ProviderError(ControlPlaneError):
    """A server elsewhere, which answers for a model, failed."""


class ProviderUnavailableError(ProviderError):
    """It cannot be reached, or has no capacity now."""

    retry_after_s = 5


class ProviderTimeoutError(ProviderError):
    """It did not answer in time."""


class ProviderRejectedError(ProviderError):
    """It refused this request."""


class DatabaseError(ControlPlaneError):
    """The database could not do what was asked."""


class DatabaseUnavailableError(DatabaseError):
    """The database cannot be reached, or did not answer in time."""


class DuplicateRowError(DatabaseError):
    """A row with that key is there already."""


class SchemaError(DatabaseError):
    """The schema is older or newer than this program, or cannot be moved."""
