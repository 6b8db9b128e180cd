"""The errors of serving.

    ConchError
    └── ServingError
        ├── EncodeError             one text cannot be taken; fails its own request only
        │   ├── InvalidTextError    not UTF-8
        │   ├── TextTooLongError    over the model's limit while truncation is off
        │   └── InvalidOptionError  a request parameter that the model does not have
        ├── GenerateError           one request for a text cannot be answered; the others go on
        │   ├── InvalidGenerationError  a sampling parameter, a message or a grammar is wrong
        │   ├── PromptTooLongError  prompt and answer do not fit into the context
        │   ├── QueueFullError      as many requests wait as may
        │   ├── QueueTimeoutError   no slot became free in time
        │   └── ComputationError    the model could not be computed for it
        │       └── OutOfMemoryError    there was no memory for it, also at the second attempt
        ├── VersionLoadError        a version directory cannot be served; the reason says which file
        └── LaunchError             tritonserver cannot be found or started; says the way out
"""

from export.contract import OUT_OF_MEMORY, ConchError


class ServingError(ConchError):
    """Anything that serving refuses or cannot do."""


class EncodeError(ServingError):
    """One text cannot be taken; the others of its batch can."""


class InvalidTextError(EncodeError):
    """The bytes of a text are not UTF-8."""


class TextTooLongError(EncodeError):
    """A text has more tokens than the model takes, and truncation is off."""

    def __init__(self, max_tokens: int) -> None:
        super().__init__(f"text has more than {max_tokens} tokens and truncate is false; "
                         "shorten it or leave truncate on")


class InvalidOptionError(EncodeError):
    """A request parameter is unknown, of the wrong type, or names a prompt that the model does not have."""


class GenerateError(ServingError):
    """One request for a text cannot be answered; the others go on."""


class InvalidGenerationError(GenerateError):
    """A sampling parameter, a chat message, a prompt or a grammar is wrong."""


class PromptTooLongError(GenerateError):
    """A prompt leaves no room for an answer in the context."""

    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(f"the prompt has {prompt_tokens} tokens but prompt and answer together may have "
                         f"{context_tokens}; shorten it or set truncate_prompt_tokens")


class QueueFullError(GenerateError):
    """As many requests wait as may."""


class QueueTimeoutError(GenerateError):
    """No slot became free in time."""


class ComputationError(GenerateError):
    """The model could not be computed for a request."""


class OutOfMemoryError(ComputationError):
    """There was no memory for a computation, also at the second attempt."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} could not be computed: {OUT_OF_MEMORY}; ask again later, shorten the request, or "
                         "free memory on the machine")


class VersionLoadError(ServingError):
    """A version directory cannot be served."""


class LaunchError(ServingError):
    """tritonserver cannot be found or started."""
