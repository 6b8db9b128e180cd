"""REST for text: OpenAI's chat and raw completions, whole or as a stream of events (source: OpenAI's API reference)."""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Literal

from flask import current_app, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.event_stream import client_is_gone, event_stream
from control_plane.api.fields import GeneratorName
from control_plane.api.text_limits import check_texts
from control_plane.generation.openai_answers import AnswerFormat, Answers
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.generation.required_calls import choose_tools
from control_plane.generation.sampling import SamplingFields
from control_plane.json_schema import whole_number
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services

blueprint = APIBlueprint("generation", __name__, url_prefix="/v1", abp_tags=[Tag(name="openai")],
                         abp_security=[{"bearer": []}])
_STATUSES = (*INFERENCE_STATUSES, 429)
_MOST_LOGPROBS = 20
_TEXT_PART = {"type": "object", "required": ["type", "text"],
              "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}
_CONTENT_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "array", "items": _TEXT_PART}]}


def _join_parts(content: object) -> object:
    """Return the text of OpenAI's list of content parts; other kinds of parts are left for validation to refuse."""
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text"
                                         and isinstance(part.get("text"), str) for part in content):
        return "".join(part["text"] for part in content)
    return "" if content is None else content


class CalledFunction(BaseModel):
    """A function with its arguments, JSON text."""

    name: str
    arguments: str


class EarlierCall(BaseModel):
    """A call that the assistant made earlier in the conversation."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(BaseModel):
    """One message of a conversation; what else it holds (tool_call_id, name) goes to the chat template too."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_join_parts), WithJsonSchema(_CONTENT_SCHEMA)] = Field(
        "", description="Text, or parts of type text; null with tool_calls.")
    tool_calls: list[EarlierCall] | None = None


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    include_usage: bool = Field(False, strict=True)


class _Body(SamplingFields):
    model: GeneratorName
    max_tokens: whole_number(1) | None = Field(None, description="Tokens of one answer. Default: MAX_NEW_TOKENS.")
    stream: bool = Field(False, strict=True)
    stream_options: StreamOptions | None = None


class Tool(BaseModel):
    """A function that the model may ask to have called."""

    type: Literal["function"]
    function: dict


class ToolName(BaseModel):
    """The function that is to be called."""

    model_config = ConfigDict(extra="forbid")

    name: str


class NamedTool(BaseModel):
    """One of the tools."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: ToolName


class ChatBody(_Body):
    """OpenAI's request; fields that mean nothing here (`user`) are accepted and ignored."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: whole_number(1) | None = Field(None, description="Newer name of max_tokens.")
    logprobs: bool = Field(False, strict=True)
    top_logprobs: whole_number(0, _MOST_LOGPROBS) | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = Field(None, description=(
        "none: as if no tools were given; required: the answer calls one of them; a named one: it calls that."))


class CompletionBody(_Body):
    """OpenAI's request for raw text, without a chat template."""

    prompt: str = Field(min_length=1)
    logprobs: whole_number(0, _MOST_LOGPROBS) | None = Field(None, description="Likeliest tokens to tell of.")
    echo: bool = Field(False, strict=True, description="Give the prompt back before the answer.")


class Completion(BaseModel):
    """OpenAI's answer; with `stream` it comes as events `chat.completion.chunk`, the last of them `[DONE]`."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    created: int
    model: str
    choices: list[dict]


_RESPONSES = {
    "200": {"description": "The answer, or a stream of its pieces.", "content": {
        "application/json": {"schema": Completion.model_json_schema()},
        "text/event-stream": {}}},
    **problem_responses(*_STATUSES)}


@blueprint.post("/chat/completions", responses=_RESPONSES, summary="Continue a conversation")
@needs_scope(INFER)
def create_chat_completion(body: ChatBody):
    """Answer a conversation as OpenAI's API does."""
    messages = [_message(message) for message in body.messages]
    check_texts("messages", [message["content"] for message in messages], services(current_app).settings)
    sampling = _sampling(body, body.max_completion_tokens or body.max_tokens)
    if body.logprobs:
        sampling["logprobs"] = body.top_logprobs or 0
    tools = [tool.model_dump() for tool in body.tools or ()]
    asked = GenerationRequest(messages=messages, sampling=sampling,
                              tools=None if body.tool_choice == "none" or not tools else tools,
                              required_tools=_required_tools(tools, body.tool_choice))
    return _answer(body, asked, body.logprobs)


def _required_tools(tools: list[dict], choice: str | NamedTool | None) -> tuple[str, ...]:
    if isinstance(choice, NamedTool):
        return choose_tools(tools, choice.function.name)
    return choose_tools(tools, None) if choice == "required" else ()


@blueprint.post("/completions", responses=_RESPONSES, summary="Continue a text")
@needs_scope(INFER)
def create_completion(body: CompletionBody):
    """Continue a text as OpenAI's older API does."""
    check_texts("prompt", [body.prompt], services(current_app).settings)
    sampling = _sampling(body, body.max_tokens)
    if body.logprobs is not None:
        sampling["logprobs"] = body.logprobs
    return _answer(body, GenerationRequest(prompt=body.prompt, sampling=sampling, echo=body.echo),
                   body.logprobs is not None)


def _answer(body: _Body, asked: GenerationRequest, with_logprobs: bool):
    events = services(current_app).generation.generate(body.model, asked)
    shape = AnswerFormat(body.model, is_chat=asked.messages is not None)
    if body.stream:
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        return event_stream(shape.chunks(events, with_usage))
    return shape.whole(_gather(events), with_logprobs)


def _gather(events: Iterator[GenerationEvent]) -> Answers:
    """Put the answers together, and stop as soon as nobody waits for them any more."""
    answers = Answers()
    with closing(events):
        for event in events:
            answers.add(event)
            if client_is_gone(request):
                break
    return answers


def _sampling(body: _Body, max_tokens: int | None) -> dict:
    return {**body.sampling(), **({"max_tokens": max_tokens} if max_tokens else {})}


def _message(message: Message) -> dict:
    """Return a message; chat templates call a developer, who is OpenAI's alone, the system."""
    known = message.model_dump(exclude_none=True)
    return {**known, "role": "system" if message.role == "developer" else message.role}
