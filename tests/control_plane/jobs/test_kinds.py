"""The kinds of jobs: every one has a module that does it, and an export takes no path."""

import importlib.util
from typing import get_args

import pytest
from pydantic import ValidationError

from control_plane.errors import ControlPlaneError
from control_plane.jobs.kinds import KINDS, ExportArguments, find_kind
from export.precision import ENGINES, PRECISIONS


def _choices(field: str) -> set[str]:
    """Return the values of an optional Literal."""
    return set(get_args(next(part for part in get_args(ExportArguments.model_fields[field].annotation)
                             if part is not type(None))))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_its_module(name):
    assert importlib.util.find_spec(KINDS[name].module)


def test_an_unknown_kind_is_refused_with_those_that_exist():
    with pytest.raises(ControlPlaneError, match="no jobs of kind 'nope', only export"):
        find_kind(KINDS, "nope")


def test_engines_and_precisions_are_those_of_the_export():
    assert _choices("engine") == set(ENGINES)
    assert _choices("precision") == set(PRECISIONS)


@pytest.mark.parametrize("wrong", [
    {"name": "../x"}, {"name": ""}, {"name": "a" * 65}, {"precision": "fp8"}, {"engine": "tensorrt"},
    {"min_cosine": 1.5}, {"min_cosine": float("nan")}, {"source": "path"},
    {"force": 1}])
def test_what_an_export_cannot_take_is_refused(wrong):
    with pytest.raises(ValidationError):
        ExportArguments.model_validate({"model": "fast", **wrong})
