"""Who takes part: every contestant measured over the wire, with the load that reaches it, and its settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Load
from benchmarks.conch_server import EXPORT_INT8, MODEL, MODEL_INT8, ConchServer
from benchmarks.peers import flask_server
from benchmarks.peers.infinity import VARIANTS, InfinityEnvironment
from benchmarks.servers import ServerPlan

CONCH_GRPC = "conch-grpc"
CONCH_REST_FLOAT = "conch-rest-float"
CONCH_REST_BASE64 = "conch-rest-base64"
CONCH_REST_INT8 = "conch-rest-base64-int8"
CONCH_HTTP = "conch-http"
CONCH_HTTP_INT8 = "conch-http-int8"
CONCH_PERF_ANALYZER = "conch-grpc-perf-analyzer"  # same server, NVIDIA's client
LIMIT = "limit-in-process"
LIMIT_AT_ONCE = "limit-in-process-at-once"
SENTENCE_TRANSFORMERS = "sentence-transformers-in-process"
FLASK = flask_server.NAME

INT8 = (CONCH_REST_INT8, CONCH_HTTP_INT8)
CONCH = (CONCH_GRPC, CONCH_HTTP, CONCH_REST_FLOAT, CONCH_REST_BASE64, *INT8, CONCH_PERF_ANALYZER, LIMIT, LIMIT_AT_ONCE)
QUICK = (*CONCH, FLASK, "infinity-optimum-fp32")
ALL = (*CONCH, FLASK, SENTENCE_TRANSFORMERS, *VARIANTS)

SETTINGS = {
    CONCH_GRPC: "KServe v2 over gRPC straight to Triton, tritonclient",
    CONCH_HTTP: "KServe v2 over HTTP straight to Triton, texts as JSON, embeddings as bytes",
    CONCH_REST_FLOAT: "POST /v1/embeddings, encoding_format float",
    CONCH_REST_BASE64: "POST /v1/embeddings, encoding_format base64",
    CONCH_REST_INT8: f"as conch-rest-base64, with what `{EXPORT_INT8}` makes",
    CONCH_HTTP_INT8: f"as conch-http, with what `{EXPORT_INT8}` makes",
    CONCH_PERF_ANALYZER: "as conch-grpc, with perf_analyzer as the client",
    LIMIT: "the engine behind Conch without a server: all cores, batches of 32 sorted by length",
    LIMIT_AT_ONCE: "the same with all texts of the mix in one batch, which no server gets to see",
    FLASK: flask_server.SETTINGS + "; encoding_format base64",
    SENTENCE_TRANSFORMERS: f"without a server: batches of 32 sorted by length, torch {flask_server.DTYPE}, all cores",
    **{name: f"{variant.settings}; encoding_format base64" for name, variant in VARIANTS.items()},
}


@dataclass(frozen=True)
class Contestant:
    """One way to get embeddings over the wire; `load` is asked for once its server is ready."""

    name: str
    server: ServerPlan
    load: Callable[[], Load]


def conch_contestants(conch: ConchServer) -> list[Contestant]:
    """Return the ways into one Conch."""
    def rest(encoding_format: str, model: str = MODEL) -> Callable[[], Load]:
        return lambda: Load("rest", conch.rest_url, model, encoding_format, conch.api_key)

    def http(model: str) -> Callable[[], Load]:
        return lambda: Load("http", f"{conch.triton_url}/v2/models/{model}/infer", model)

    return [
        Contestant(CONCH_GRPC, conch.plan, lambda: Load("grpc", conch.grpc_address, MODEL)),
        Contestant(CONCH_HTTP, conch.plan, http(MODEL)),
        Contestant(CONCH_HTTP_INT8, conch.plan, http(MODEL_INT8)),
        Contestant(CONCH_REST_FLOAT, conch.plan, rest("float")),
        Contestant(CONCH_REST_BASE64, conch.plan, rest("base64")),
        Contestant(CONCH_REST_INT8, conch.plan, rest("base64", MODEL_INT8)),
    ]


def peer_contestants(names: set[str], checkpoint: Path, infinity_root: Path) -> list[Contestant]:
    """Return the peers among `names`; makes infinity's environment when one of them needs it."""
    contestants = []
    if FLASK in names:
        contestants.append(_peer(flask_server.plan(checkpoint), "/v1/embeddings"))
    if wanted := [name for name in VARIANTS if name in names]:
        infinity = InfinityEnvironment(infinity_root)
        infinity.prepare(checkpoint)
        contestants += [_peer(infinity.plan(name), "/embeddings") for name in wanted]
    return contestants


def _peer(plan: ServerPlan, path: str) -> Contestant:
    url = plan.ready_url.rpartition("/")[0] + path
    return Contestant(plan.name, plan, lambda: Load("rest", url, "model", "base64"))
