"""Writes versions of a tiny random decoder: the operators that onnxruntime-genai's builder writes, in milliseconds."""

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from export.manifest import GeneratorManifest, sha256_of

HEADS, KV_HEADS, HEAD_DIM, LAYERS = 4, 2, 16, 2
HIDDEN = HEADS * HEAD_DIM
CONTEXT = 256
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCAB = 256 + len(SPECIAL)
END = VOCAB - 1
TEMPLATE = ("{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def write_version(version_dir: Path, model: str = "tiny", template: str | None = TEMPLATE,
                  stop_token_ids: tuple[int, ...] = (END,), special_tokens: dict | None = None) -> Path:
    """Write a whole version directory."""
    version_dir.mkdir(parents=True)
    onnx.save(_graph(), version_dir / "model.onnx")
    _tokenizer().save(str(version_dir / "tokenizer.json"))
    if template is not None:
        (version_dir / "chat_template.jinja").write_text(template)
    files = {path.name: sha256_of(path) for path in sorted(version_dir.iterdir())}
    GeneratorManifest(model=model, version=int(version_dir.name), task="text-generation", source="test", revision=None,
                      engine="onnxruntime", precision="fp32", max_tokens=CONTEXT, layers=LAYERS, kv_heads=KV_HEADS,
                      head_dim=HEAD_DIM, vocab_size=VOCAB, kv_type="float32", stop_token_ids=stop_token_ids,
                      special_tokens=special_tokens or {}, golden_text="Hello", files=files).write(version_dir)
    return version_dir


def write_int8_version(version_dir: Path, graph: Path) -> Path:
    """Write a version of an int8 graph of tests.export.decoders."""
    from tests.export.decoders import CONTEXT, VOCABULARY, build_tokenizer

    version_dir.mkdir(parents=True)
    for file in graph.parent.iterdir():
        shutil.copy(file, version_dir)
    build_tokenizer().backend_tokenizer.save(str(version_dir / "tokenizer.json"))
    files = {path.name: sha256_of(path) for path in sorted(version_dir.iterdir())}
    GeneratorManifest(model="int8", version=int(version_dir.name), task="text-generation", source="test", revision=None,
                      engine="onnxruntime", precision="int8", max_tokens=CONTEXT, layers=2, kv_heads=2, head_dim=16,
                      vocab_size=VOCABULARY, kv_type="float32", stop_token_ids=(2,), golden_text="Hello",
                      files=files).write(version_dir)
    return version_dir


def _tokenizer() -> Tokenizer:
    """A token for each byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return tokenizer


class _Builder:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)
        self.nodes: list = []
        self.weights: list = []

    def add(self, kind: str, inputs: list[str], output: str, outputs: tuple[str, ...] = (), **attributes) -> str:
        domain = "com.microsoft" if kind == "GroupQueryAttention" else ""
        self.nodes.append(helper.make_node(kind, inputs, [output, *outputs], domain=domain, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        return self.constant(name, self._random.normal(0, shape[0] ** -0.5, shape).astype(np.float32))


def _graph() -> onnx.ModelProto:
    build = _Builder()
    sums = build.add("ReduceSum", ["attention_mask", build.constant("one", np.array([1]))], "sums", keepdims=0)
    past = build.add("Cast", [build.add("Sub", [sums, "one"], "past")], "past32", to=TensorProto.INT32)
    shape = build.add("Shape", ["attention_mask"], "shape")
    total = build.add("Gather", [shape, build.constant("width", np.array(1))], "total", axis=0)
    total = build.add("Cast", [total], "total32", to=TensorProto.INT32)
    angles = np.outer(np.arange(CONTEXT), 1e4 ** (-np.arange(HEAD_DIM // 2) / (HEAD_DIM // 2))).astype(np.float32)
    cos, sin = build.constant("cos", np.cos(angles)), build.constant("sin", np.sin(angles))
    embedding = build.constant("embedding", np.random.default_rng(3).normal(0, 1, (VOCAB, HIDDEN)).astype(np.float32))
    hidden = build.add("Gather", [embedding, "input_ids"], "hidden")
    for layer in range(LAYERS):
        width = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        packed = build.add("MatMul", [hidden, build.weight(f"qkv{layer}", HIDDEN, width)], f"packed{layer}")
        cache = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        attended = build.add("GroupQueryAttention", [packed, "", "", *cache, past, total, cos, sin], f"attended{layer}",
                             tuple(name.replace("past_key_values", "present") for name in cache), num_heads=HEADS,
                             kv_num_heads=KV_HEADS, do_rotary=1)
        mixed = build.add("MatMul", [attended, build.weight(f"out{layer}", HIDDEN, HIDDEN)], f"mixed{layer}")
        hidden = build.add("Add", [hidden, mixed], f"hidden{layer}")
    build.add("MatMul", [hidden, build.weight("head", HIDDEN, VOCAB)], "logits")
    return _model(build)


def _model(build: _Builder) -> onnx.ModelProto:
    def value(name: str, shape: list, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    parts = [f"{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
    inputs = [value("input_ids", ["batch", "tokens"], TensorProto.INT64),
              value("attention_mask", ["batch", "total"], TensorProto.INT64),
              *(value(f"past_key_values.{part}", ["batch", KV_HEADS, "past_tokens", HEAD_DIM]) for part in parts)]
    outputs = [value("logits", ["batch", "tokens", VOCAB]),
               *(value(f"present.{part}", ["batch", KV_HEADS, "total_tokens", HEAD_DIM]) for part in parts)]
    graph = helper.make_graph(build.nodes, "tiny", inputs, outputs, build.weights)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
