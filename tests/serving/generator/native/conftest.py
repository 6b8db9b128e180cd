"""Leaves out what this processor cannot do."""

from pathlib import Path

import pytest

from serving.generator.native.processor import processor_can


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of machine code where it does not serve."""
    if not processor_can():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="the processor has no AVX-512 VNNI; ONNX Runtime serves"))
