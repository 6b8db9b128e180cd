"""The scopes that a key may have, and which one a route needs. Knows nothing of keys."""

from collections.abc import Callable, Iterable
from typing import TypeVar

INFER = "infer"      # read models, compute with them
LABEL = "label"      # write the examples that models are trained with
TRAIN = "train"      # train and evaluate models
PROMOTE = "promote"  # choose the version that answers
ADMIN = "admin"      # everything
SCOPES = (INFER, LABEL, TRAIN, PROMOTE, ADMIN)
ANY = "any"          # what every valid key has; for what says nothing of models, such as the documentation
ANYONE = "anyone"    # no key at all; for the labelling page, which asks for one itself and holds nothing

PUBLIC_PATHS = frozenset({"/health", "/ready"})  # need no key: a load balancer has none

# Who trains a model may correct its examples, and who switches versions must be able to try them. Nothing else follows
# from anything: a training job that can also promote is a key with two scopes, and says so.
_INCLUDED = {TRAIN: (LABEL,), PROMOTE: (INFER,), ADMIN: SCOPES}
_ATTRIBUTE = "required_scope"

View = TypeVar("View", bound=Callable)


def expand_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return `scopes`, what they include, and what every key has."""
    return frozenset({ANY}.union(*({scope, *_INCLUDED.get(scope, ())} for scope in scopes)))


def needs_scope(scope: str) -> Callable[[View], View]:
    """Decorate a route with the one scope that a key needs for it."""
    def state(view: View) -> View:
        setattr(view, _ATTRIBUTE, scope)
        return view

    return state


def stated_scope(view: Callable) -> str | None:
    """Return the scope that a route states, None where it states none."""
    return getattr(view, _ATTRIBUTE, None)
