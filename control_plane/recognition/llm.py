"""Asks a language model which intents a question has. Takes its answer only when it is one."""

import json
from collections.abc import Sequence

from control_plane.generation.generation_service import GenerationService
from control_plane.generation.request import GenerationRequest
from control_plane.labelling.taxonomy import Intent
from control_plane.tuning_errors import LlmAnswerError

_MAX_TOKENS = 64
_SHOWN_CHARS = 200
_INSTRUCTION = """\
You sort the questions of users by intent. The intents are:
{intents}
A question may have several intents, or none of them. Answer with JSON only: {{"intents": [names of the intents]}}"""


class IntentLlm:
    """One language model of the catalog, here or elsewhere."""

    def __init__(self, generation: GenerationService, model: str, timeout_s: float) -> None:
        self._generation, self._model, self._timeout_s = generation, model, timeout_s

    def ask(self, question: str, intents: Sequence[Intent]) -> list[str]:
        """Return the names of the intents that the model sees, none for out of scope.

        Raises LlmAnswerError when what it says is no answer, and what GenerationService.answer raises.
        """
        names = [intent.name for intent in intents]
        listed = "\n".join(f"- {intent.name}: {intent.display_name}. {intent.description}" for intent in intents)
        request = GenerationRequest(
            messages=[{"role": "system", "content": _INSTRUCTION.format(intents=listed)},
                      {"role": "user", "content": question}],
            sampling={"temperature": 0.0, "max_tokens": _MAX_TOKENS, "guided_decoding": {"json": _schema(names)}})
        answers = self._generation.answer(self._model, request, self._timeout_s)
        return _read(answers.by_index[0].text if answers.by_index else "", names)


def _schema(names: Sequence[str]) -> str:
    return json.dumps({"type": "object", "required": ["intents"], "additionalProperties": False, "properties": {
        "intents": {"type": "array", "items": {"enum": list(names)}, "maxItems": len(names)}}})


def _read(text: str, names: Sequence[str]) -> list[str]:
    """Read the JSON object in `text`, which models like to wrap in words or a code block."""
    start, end = text.find("{"), text.rfind("}")
    try:
        document = json.loads(text[start:end + 1])
    except ValueError:
        document = None
    found = document.get("intents") if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(name in names for name in found):
        raise LlmAnswerError(f"the language model answered no list of intents: {text[:_SHOWN_CHARS]!r}")
    return list(dict.fromkeys(found))
