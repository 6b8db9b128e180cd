"""Which target a conversation belongs to, without anybody remembering it. Knows nothing of load."""

import json
from collections.abc import Iterable
from hashlib import blake2b

from control_plane.generation.request import GenerationRequest

# Of a raw prompt: enough to tell prompts apart, and so little that it stays the same while a prompt grows.
_PROMPT_CHARS = 256


def conversation_key(model: str, request: GenerationRequest) -> bytes:
    """Return the digest of what stays the same in all turns of a conversation.

    Of messages those up to the first of a user, system messages included; of a raw prompt its beginning.
    """
    return blake2b(json.dumps([model, _opening(request)]).encode(), digest_size=16).digest()


def rank_targets(key: bytes, targets: Iterable[str]) -> list[str]:
    """Return the targets, the one that a conversation belongs to first.

    Rendezvous hashing (Thaler and Ravishankar, 1998): when a target goes, only its own conversations move, and they
    return when it does.
    """
    return sorted(targets, key=lambda target: blake2b(target.encode(), key=key).digest(), reverse=True)


def _opening(request: GenerationRequest) -> object:
    if request.messages is None:
        return (request.prompt or "")[:_PROMPT_CHARS]
    opening = []
    for message in request.messages:
        opening.append([message["role"], message.get("content")])
        if message["role"] == "user":
            break
    return opening
