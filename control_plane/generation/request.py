"""What is asked of a generator and what comes back, whoever computes it. Values, nothing more."""

from dataclasses import dataclass, field

from control_plane.generation.tool_calls import ToolCall

DROPPABLE = "droppable"  # key of a message; true lets our own generators leave it out of a prompt that is too long


@dataclass(frozen=True)
class GenerationRequest:
    """Either chat `messages` or a raw `prompt`.

    `sampling` are OpenAI's and vLLM's parameters by their names (temperature, top_p, max_tokens, stop, seed, n, …).
    """

    messages: list[dict] | None = None
    prompt: str | None = None
    sampling: dict = field(default_factory=dict)
    tools: list[dict] | None = None
    required_tools: tuple[str, ...] = ()  # names of which the answer must call one; empty: as the model likes
    echo: bool = False  # give the prompt back before the answer
    is_for_vllm: bool = False  # whether NVIDIA's vLLM backend computes it, and not ours


@dataclass(frozen=True)
class GenerationEvent:
    """The next piece of one of the answers to a request."""

    index: int = 0                     # which of the n answers
    text: str = ""
    finish_reason: str | None = None   # of the answer's last piece: "stop" or "length"
    prompt_tokens: int = 0
    completion_tokens: int = 0         # of this answer up to here
    logprobs: list[dict] | None = None  # of this piece's tokens: token, logprob, bytes, top_logprobs (OpenAI)
    token_ids: tuple[int, ...] = ()    # of this piece's tokens, where logprobs were asked for
    dropped_messages: int = 0          # on the last piece: messages that had no room in the prompt
    tool_calls: tuple[ToolCall, ...] = ()
