"""`conch serve` as a process: it starts fast, says what is wrong in one line, and leaves nothing behind."""

import json
import shutil
import signal
import socket
import subprocess
import time

import psutil
import pytest

from tests.functional.platform import CONCH, ServedPlatform, wait_until


@pytest.fixture
def served(exported, tmp_path):
    """A platform of its own, not started; whatever a test leaves running is killed."""
    platform = ServedPlatform(tmp_path, exported)
    yield platform
    if platform.process is not None:
        platform.process.kill()
        platform.process.communicate()


@pytest.fixture(scope="module")
def shared(exported, tmp_path_factory):
    """One platform with a repository of its own: whoever has ended it leaves the next start to whoever comes next."""
    home = tmp_path_factory.mktemp("serve")
    platform = ServedPlatform(home, shutil.copytree(exported, home / "model_repository"))
    yield platform
    if is_running(platform):
        platform.stop()


@pytest.fixture
def running(shared):
    """The shared platform, which runs."""
    if not is_running(shared):
        shared.start()
    return shared


@pytest.fixture
def ended(shared):
    """The shared platform, which has run and does not now."""
    if shared.process is None:
        shared.start()
    if is_running(shared):
        shared.stop()
    return shared


def is_running(platform: ServedPlatform) -> bool:
    return platform.process is not None and platform.process.poll() is None


def everyone_gone(processes: list[psutil.Process], timeout_s: float = 15) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def printed_until_ready(platform: ServedPlatform) -> str:
    output = ""
    while "Stop with Ctrl-C" not in output:
        line = platform.process.stdout.readline()
        assert line, f"conch serve has ended: {output}"
        output += line
    return output


def test_output_holds_commands_to_paste(running):
    output = printed_until_ready(running)
    for expected in (f"http://127.0.0.1:{running.triton_http_port}/v2/models/fast/infer",
                     f"http://127.0.0.1:{running.http_port}/api/v1/models/embedding", "from openai import OpenAI"):
        assert expected in output


def test_every_port_is_on_loopback_only(running):
    listening = {connection.laddr.ip for process in running.descendants()
                 for connection in process.net_connections("inet") if connection.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_control_plane_worker_holds_none_of_the_heavy_libraries(running):
    workers = [process for process in running.descendants() if "gunicorn" in " ".join(process.cmdline())]
    assert len(workers) == 3  # a keeper, gunicorn's arbiter and one worker
    for worker in workers:
        mapped = " ".join(region.path for region in worker.memory_maps())
        assert not [name for name in ("torch", "transformers", "onnxruntime", "openvino") if f"/{name}/" in mapped]


def test_a_model_whose_files_are_gone_does_not_hold_up_the_others(running):
    config = shutil.copytree(running.repository / "fast", running.repository / "gone") / "config.pbtxt"
    config.write_text(config.read_text().replace('"fast"', '"gone"'))
    assert running.rest("POST", "/api/v1/models/load", {"model_type": "gone"}).status == 200
    running.stop()
    shutil.rmtree(running.repository / "gone")
    running.launch()
    assert "gone should be live and is not ready" in printed_until_ready(running)
    assert running.rest("POST", "/api/v1/models/embedding", {"text": "still served"}).status == 200
    assert running.rest("GET", "/ready").status == 503
    assert running.rest("POST", "/api/v1/models/unload", {"model_type": "gone"}).body["state"] == "not_exported"
    wait_until(running.is_ready)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything(running, signal_number):
    processes = running.descendants()
    assert {"tritonserver", "triton_python_b"} <= {process.name()[:15] for process in processes}
    running.process.send_signal(signal_number)
    assert running.process.wait(20) == 0
    assert everyone_gone(processes)


def test_key_survives_a_restart(ended):
    key = ended.key
    ended.start()
    assert ended.key == key


def test_killing_conch_leaves_no_process(running):
    processes = running.descendants()
    running.process.kill()
    assert everyone_gone(processes)


def test_killing_conch_and_triton_at_once_leaves_no_stub_that_hangs(running):
    processes = running.descendants()
    named = {process.name()[:15]: process for process in processes}
    named["triton_python_b"].suspend()  # as inside a call to the server that never returns
    named["tritonserver"].kill()
    running.process.kill()
    running.process.wait()
    assert everyone_gone(processes)


def test_killing_the_parent_leaves_no_process(ended):
    """As under `make run`: a shell starts conch and is killed."""
    script = f'"{CONCH}" serve --parent-pid $$ & wait'
    ended.start(["sh", "-c", script])
    processes = ended.descendants()
    assert len(processes) >= 4
    ended.process.kill()
    assert everyone_gone(processes)


def test_a_preloaded_model_that_was_live_and_is_damaged_since_does_not_end_the_start(ended):
    model = ended.repository / "fast" / "1" / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(b"not a model")
    try:
        ended.launch()
        assert "fast should be live and is not ready" in printed_until_ready(ended)
        assert "has sha256" in json.dumps(ended.rest("GET", "/api/v1/models/info?type=fast").body["targets"])
    finally:
        ended.stop()
        model.write_bytes(content)


def test_taken_port_is_one_line_that_names_the_setting(served):
    with socket.create_server(("127.0.0.1", served.triton_grpc_port)):
        run = subprocess.run([CONCH, "serve"], env=served.environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1
    line = run.stderr.splitlines()[-1]
    assert f"port {served.triton_grpc_port}" in line
    assert "set CONCH_TRITON_GRPC_PORT to a free port" in line


def test_missing_model_is_one_line_that_names_the_command(served):
    served.environment["CONCH_PRELOAD_MODELS"] = "fast,balanced"
    run = subprocess.run([CONCH, "serve"], env=served.environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1
    assert "run `conch export balanced`" in run.stderr.splitlines()[-1]


def test_a_repository_that_cannot_be_made_is_one_line_that_names_the_setting(served):
    served.environment |= {"CONCH_PRELOAD_MODELS": ",", "CONCH_MODEL_REPOSITORY": str(served.home / "file" / "models")}
    served.home.mkdir(exist_ok=True)
    (served.home / "file").touch()
    run = subprocess.run([CONCH, "serve"], env=served.environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1
    assert "set CONCH_MODEL_REPOSITORY to a directory" in run.stderr.splitlines()[-1]


def test_triton_dying_while_the_control_plane_starts_is_reported_at_once(served):
    served.launch()
    log = served.home / "logs" / "control-plane.log"  # made when gunicorn is started
    while not log.exists():
        assert served.process.poll() is None
        time.sleep(0.01)
    children = served.descendants()
    [triton] = [process for process in children if process.name() == "tritonserver"]
    triton.kill()
    output = served.process.communicate(timeout=30)[0]
    assert "triton ended unexpectedly" in output
    assert everyone_gone([triton])
