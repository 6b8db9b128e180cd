"""A metrics page over real HTTP, and what there is instead of one."""

import socket

import pytest
from flask import Flask, Response

from control_plane.errors import TritonUnavailableError
from control_plane.triton_metrics import GeneratorLoad, read_generator_loads
from tests.control_plane.conftest import serving

PAGE = """# HELP nv_inference_count Number of inferences performed
# TYPE nv_inference_count counter
nv_inference_count{model="writer",version="2"} 17
# TYPE conch_generator_running gauge
conch_generator_running{model="writer",version="2"} 3
conch_generator_running{model="tiny",version="1"} 0
conch_generator_waiting{model="writer",version="2"} 1.000000
conch_generator_waiting{model="tiny",version="1"} 0
conch_generator_slots{model="writer",version="2"} 8
conch_generator_slots{version="1",model="tiny"} 2
conch_generator_running_total{model="tiny",version="1"} 99
conch_generator_running{model="half loaded",version="1"} 5
"""


def read(page: Response) -> dict:
    app = Flask("metrics")
    app.get("/metrics")(lambda: page)
    with serving(app) as address:
        return read_generator_loads(address.removeprefix("http://"))


def test_every_version_of_a_generator_has_its_load():
    assert read(Response(PAGE)) == {("writer", 2): GeneratorLoad(running=3, waiting=1, slots=8),
                                    ("tiny", 1): GeneratorLoad(running=0, waiting=0, slots=2)}


def test_a_triton_without_generators_has_none():
    assert read(Response(PAGE.split("# TYPE conch_")[0])) == {}


@pytest.mark.parametrize("page", [
    Response("no", 404), Response(b"\xff\xfe"), Response('conch_generator_slots{model="a",version="b"} 1\n'),
    Response('conch_generator_slots{model="a",version="1"} many\n')])
def test_a_page_of_something_else_is_no_page(page):
    with pytest.raises(TritonUnavailableError, match=r"the metrics at 127\.0\.0\.1:\d+ cannot be read: .*METRICS_URLS"):
        read(page)


def test_where_nobody_listens_there_is_no_page():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TritonUnavailableError, match=f"the metrics at {address} cannot be read: .*refused"):
            read_generator_loads(address)


def test_an_address_without_a_number_for_its_port_is_told():
    with pytest.raises(TritonUnavailableError, match="'port'"):
        read_generator_loads("host:port")
