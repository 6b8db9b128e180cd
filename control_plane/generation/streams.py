"""Streams that have begun: whatever goes wrong before their first piece is raised by whoever opens them."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

Piece = TypeVar("Piece")


def begin(pieces: Generator[Piece, None, None]) -> Iterator[Piece]:
    """Wait for the first piece; returns all of them. Closing the result closes `pieces`."""
    return _resume(next(pieces, None), pieces)


def _resume(first: Piece | None, pieces: Generator[Piece, None, None]) -> Iterator[Piece]:
    with closing(pieces):
        if first is not None:
            yield first
            yield from pieces
