"""A device that is not there is an error, never another device."""

import os
import stat

import pytest

from control_plane.errors import DeviceNotAvailableError
from control_plane.memory.devices import cuda_devices, resolve_device


@pytest.fixture(autouse=True)
def fresh():
    cuda_devices.cache_clear()
    yield
    cuda_devices.cache_clear()


@pytest.fixture
def no_driver(monkeypatch, tmp_path):
    """No nvidia-smi on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def driver(no_driver):
    """A driver's tool that names two devices."""
    tool = no_driver / "nvidia-smi"
    tool.write_text(f"#!{os.path.realpath('/bin/sh')}\necho 'NVIDIA A10'\necho 'NVIDIA L4'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_cpu_is_always_there(no_driver, device):
    assert resolve_device(device, of_vllm=False) == "cpu"


def test_cuda_without_a_gpu_is_an_error(no_driver):
    with pytest.raises(DeviceNotAvailableError, match="no NVIDIA device"):
        resolve_device("cuda", of_vllm=False)
    assert cuda_devices() == ()


def test_a_gpu_is_seen_but_models_of_our_own_backends_do_not_run_on_it(driver):
    assert cuda_devices() == ("NVIDIA A10", "NVIDIA L4")
    with pytest.raises(DeviceNotAvailableError, match="compute on the CPU"):
        resolve_device("cuda", of_vllm=False)


def test_models_for_vllm_run_on_the_gpu_of_their_triton_wherever_that_is(no_driver):
    assert [resolve_device(device, of_vllm=True) for device in ("auto", "cuda")] == ["cuda", "cuda"]
    with pytest.raises(DeviceNotAvailableError, match="computes on a GPU; ask for cuda or auto"):
        resolve_device("cpu", of_vllm=True)


def test_a_driver_that_fails_has_no_devices(driver):
    driver.write_text(f"#!{os.path.realpath('/bin/sh')}\nexit 9\n")
    assert cuda_devices() == ()
