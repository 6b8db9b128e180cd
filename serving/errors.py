"""The errors of serving.

    ConchError
    └── ServingError
        ├── EncodeError             one text cannot be embedded; fails its own request only
        │   ├── InvalidTextError    not UTF-8
        │   ├── TextTooLongError    over the model's limit while truncation is off
        │   └── InvalidOptionError  a request parameter that the model does not have
        ├── VersionLoadError        a version directory cannot be served; the reason says which file
        └── LaunchError             tritonserver cannot be found or started; says the way out
"""

from export.contract import ConchError


class ServingError(ConchError):
    """Anything that serving refuses or cannot do."""


class EncodeError(ServingError):
    """One text cannot be embedded; the others of its batch can."""


class InvalidTextError(EncodeError):
    """The bytes of a text are not UTF-8."""


class TextTooLongError(EncodeError):
    """A text has more tokens than the model takes, and truncation is off."""

    def __init__(self, max_tokens: int) -> None:
        super().__init__(f"text has more than {max_tokens} tokens and truncate is false; "
                         "shorten it or leave truncate on")


class InvalidOptionError(EncodeError):
    """A request parameter is unknown, of the wrong type, or names a prompt that the model does not have."""


class VersionLoadError(ServingError):
    """A version directory cannot be served."""


class LaunchError(ServingError):
    """tritonserver cannot be found or started."""
