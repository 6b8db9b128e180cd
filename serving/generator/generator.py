"""Generates text with one loaded version: checks a request and hands it to the engine. Knows nothing of Triton."""

import bisect
import queue
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from export.contract import MODEL_FILE, OUT_OF_MEMORY
from export.manifest import GeneratorManifest, ManifestError, read_manifest, verify_files
from serving.errors import InvalidGenerationError, PromptTooLongError, VersionLoadError
from serving.generator.chat import ChatTemplate, droppable
from serving.generator.constraints import GrammarCompiler
from serving.generator.decoder import open_decoder
from serving.generator.engine import Engine
from serving.generator.events import GenerationEvent, GenerationRequest
from serving.generator.limits import MIB, EngineLimits, EngineSettings, plan_limits
from serving.generator.sampling_parameters import SamplingParameters, parse_sampling_parameters
from serving.generator.statistics import GenerationStatistics
from serving.generator.vocabulary import Vocabulary

Sink = Callable[[GenerationRequest, GenerationEvent], None]
# A longer text is refused before it is tokenised: no token of the vocabularies that we know has more characters.
_MAX_CHARS_PER_TOKEN = 128


class TextGenerator:
    """One version of a decoder, ready for requests from any thread."""

    def __init__(self, manifest: GeneratorManifest, vocabulary: Vocabulary, template: ChatTemplate | None,
                 engine: Engine, computed_by: str) -> None:
        self.manifest = manifest
        self.computed_by = computed_by     # in words
        self._vocabulary = vocabulary
        self._template = template
        self._grammars = GrammarCompiler(vocabulary)
        self._engine = engine

    @classmethod
    def load(cls, version_dir: Path, settings: EngineSettings, threads: int) -> "TextGenerator":
        """Verify and load a version directory; raises VersionLoadError with the file and the reason."""
        try:
            manifest = read_manifest(version_dir)
            verify_files(version_dir, manifest)
        except ManifestError as error:
            raise VersionLoadError(str(error)) from error
        if not isinstance(manifest, GeneratorManifest):
            raise VersionLoadError(f"{version_dir} holds a model for {manifest.task}, which is no text generation")
        decoder = open_decoder(version_dir / MODEL_FILE, threads, settings.spin_us, bool(settings.native))
        limits = plan_limits(settings, manifest.max_tokens, decoder.token_bytes)
        vocabulary = Vocabulary(version_dir, decoder.vocab_size, manifest.stop_token_ids)
        template = ChatTemplate.load(version_dir, manifest.special_tokens)
        try:
            session = decoder.new_session(limits.slots, limits.context_tokens)
        except MemoryError as error:
            raise VersionLoadError(
                f"{OUT_OF_MEMORY}: {limits.slots} slots of {limits.context_tokens} tokens take "
                f"{limits.cache_bytes / MIB:.0f} MiB for their keys and values; unload other models, or set memory_mb, "
                "slots or context_tokens of config.pbtxt lower") from error
        return cls(manifest, vocabulary, template, Engine(session, vocabulary, limits), decoder.engine)

    @property
    def limits(self) -> EngineLimits:
        """What this version has room for."""
        return self._engine.limits

    @property
    def statistics(self) -> GenerationStatistics:
        """What the engine counts."""
        return self._engine.statistics

    def token_text(self, token: int) -> str:
        """Return the text of one token; bytes that are only part of a character become U+FFFD."""
        return self._vocabulary.token_bytes[token].decode("utf-8", "replace")

    def render(self, messages: Any, tools: Any = None) -> str:
        """Return the prompt of a conversation; raises InvalidGenerationError when it or the model has no such thing."""
        if self._template is None:
            raise InvalidGenerationError("this model has no chat template; send text_input instead of messages")
        return self._template.render(messages, tools)

    def render_to_fit(self, messages: Any, tools: Any, sampling: Mapping[str, Any]) -> tuple[str, int]:
        """Return the prompt of a conversation, and how many of its messages were left out to leave room for the answer.

        Only messages with `droppable` are left out, the oldest first. The answer's room is max_tokens, but no more than
        half of the context: who asks for as much as there may be means no empty prompt. Raises GenerateError as
        `prepare` does.
        """
        places = droppable(messages)
        answer_tokens = parse_sampling_parameters(sampling, self.manifest.generation_defaults).max_tokens
        room = self.limits.context_tokens - min(answer_tokens, self.limits.context_tokens // 2)

        def render(dropped: int) -> str:
            left_out = set(places[:dropped])
            return self.render([message for place, message in enumerate(messages) if place not in left_out], tools)

        def fits(dropped: int) -> bool:
            prompt = render(dropped)
            return (len(prompt) <= room * _MAX_CHARS_PER_TOKEN
                    and len(self._vocabulary.encode(prompt, add_special_tokens=False)) <= room)

        dropped = bisect.bisect_left(range(len(places)), True, key=fits)
        return render(dropped), dropped

    def prepare(self, prompt: str, sampling: Mapping[str, Any], sink: Sink, is_chat: bool = False) -> GenerationRequest:
        """Check a request and make its tokens; raises GenerateError with what is wrong.

        A conversation's prompt brings its special tokens along, a plain one gets those of the tokeniser.
        """
        parameters = parse_sampling_parameters(sampling, self.manifest.generation_defaults)
        tokens = self._tokenize(prompt, parameters, add_special_tokens=not is_chat)
        self._check_token_ids(parameters)
        return GenerationRequest(tokens, parameters, self._grammars.compile(parameters), sink)

    def submit(self, request: GenerationRequest) -> None:
        """Queue a prepared request; raises QueueFullError when too many wait."""
        self._engine.submit(request)

    def cancel(self, request: GenerationRequest) -> None:
        """End a request within one step."""
        self._engine.cancel(request)

    def generate(self, prompt: str, sampling: Mapping[str, Any], is_chat: bool = False) -> Iterator[GenerationEvent]:
        """Yield the events of one request as they come; leaving the loop early cancels it."""
        events: queue.SimpleQueue[GenerationEvent] = queue.SimpleQueue()
        request = self.prepare(prompt, sampling, lambda _, event: events.put(event), is_chat)
        self.submit(request)
        left = request.parameters.n
        try:
            while left:
                event = events.get()
                left -= event.finish_reason is not None
                yield event
        finally:
            self.cancel(request)

    def warm(self) -> None:
        """Compute a prompt and a few tokens, so that the first user does not pay for what is prepared once."""
        for event in self.generate("warm", {"max_tokens": 4, "temperature": 0, "ignore_eos": True}):
            if event.error is not None:
                raise VersionLoadError(f"the version cannot generate: {event.error}")

    def close(self) -> None:
        """End everything that runs."""
        self._engine.close()

    def _tokenize(self, prompt: str, parameters: SamplingParameters, add_special_tokens: bool) -> np.ndarray:
        context = self.limits.context_tokens
        limit = parameters.truncate_prompt_tokens
        most_chars = context * _MAX_CHARS_PER_TOKEN
        if limit is None and len(prompt) > most_chars:
            raise InvalidGenerationError(f"the prompt has {len(prompt)} characters, more than {context} tokens can "
                                         "have; shorten it or set truncate_prompt_tokens")
        tokens = self._vocabulary.encode(prompt[-most_chars:], add_special_tokens)
        if limit is not None:
            tokens = tokens[-min(limit, context - 1):]
        if not len(tokens):
            raise InvalidGenerationError("the prompt is empty; give at least one character")
        if len(tokens) >= context:
            raise PromptTooLongError(len(tokens), context)
        return tokens

    def _check_token_ids(self, parameters: SamplingParameters) -> None:
        named = {"stop_token_ids": parameters.stop_token_ids, "logit_bias": dict(parameters.logit_bias)}
        for name, tokens in named.items():
            for token in tokens:
                if not 0 <= token < self._vocabulary.size:
                    raise InvalidGenerationError(f"{name} has {token}, but the model's tokens are 0 to "
                                                 f"{self._vocabulary.size - 1}")
