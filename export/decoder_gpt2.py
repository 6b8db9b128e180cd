"""Writes GPT-2 as an ONNX graph with the inputs and outputs of onnxruntime-genai's builder, which does not know GPT-2.

Learned positions are derived from the attention mask, and attention is GroupQueryAttention with as many heads of keys
and values as of queries, so that one engine serves every family. float32 only; knows nothing of checkpoints.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import GPT2LMHeadModel

_OPSET, _IR_VERSION = 21, 10   # as the builder writes
_MICROSOFT = "com.microsoft"   # ONNX Runtime's own operators


def build_gpt2(model: GPT2LMHeadModel, path: Path) -> None:
    """Write the graph of `model` to `path`, its weights beside it in `<name>.data`.

    Inputs `input_ids` int64 [batch, tokens], `attention_mask` int64 [batch, past + tokens] (its sum: a row's tokens)
    and `past_key_values.N.key|value` float32 [batch, heads, past, head_dim]; outputs `logits` float32 [batch, tokens,
    vocabulary] and `present.N.key|value`.
    """
    graph = _Gpt2Graph(model)
    onnx.save(graph.finish(), str(path), save_as_external_data=True, all_tensors_to_one_file=True,
              location=f"{path.name}.data", size_threshold=1024)


class _Gpt2Graph:
    def __init__(self, model: GPT2LMHeadModel) -> None:
        self._config = model.config
        self._weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def finish(self) -> onnx.ModelProto:
        self._read_mask()
        hidden = self._embed()
        for layer in range(self._config.n_layer):
            hidden = self._add_layer(layer, hidden)
        normed = self._normalize(hidden, "transformer.ln_f", "/model/final_norm")
        head = self._weight("lm_head.MatMul.weight", self._weights["lm_head.weight"].T)
        self._node("MatMul", [normed, head], "/lm_head/MatMul", "logits")
        graph = helper.make_graph(self._nodes, "gpt2", *self._signature(), list(self._initializers.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _signature(self) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        config = self._config
        caches = [f"{layer}.{part}" for layer in range(config.n_layer) for part in ("key", "value")]

        def cache(name: str, length: str) -> onnx.ValueInfoProto:
            shape = ["batch_size", config.n_head, length, config.n_embd // config.n_head]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
                  helper.make_tensor_value_info("attention_mask", TensorProto.INT64,
                                                ["batch_size", "total_sequence_length"])]
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT,
                                               ["batch_size", "sequence_length", config.vocab_size])
        return (inputs + [cache(f"past_key_values.{name}", "past_sequence_length") for name in caches],
                [logits] + [cache(f"present.{name}", "total_sequence_length") for name in caches])

    def _read_mask(self) -> None:
        """Derive what attention needs, and each token's position: the row's tokens so far, then one by one."""
        one = self._constant("one", np.array(1, np.int64))
        axis = self._constant("axis", np.array([1], np.int64))
        self._node("ReduceSum", ["attention_mask", axis], "/mask/sum", "row_tokens", keepdims=0)
        self._node("Sub", ["row_tokens", one], "/mask/last", "last")
        self._node("Cast", ["last"], "/mask/seqlens", "seqlens_k", to=TensorProto.INT32)
        self._node("Shape", ["attention_mask"], "/mask/shape", "mask_shape")
        self._node("Gather", ["mask_shape", one], "/mask/total", "total")
        self._node("Cast", ["total"], "/mask/total_int", "total_sequence_length", to=TensorProto.INT32)
        self._node("Shape", ["input_ids"], "/positions/shape", "ids_shape")
        self._node("Gather", ["ids_shape", one], "/positions/tokens", "tokens")
        zero = self._constant("zero", np.array(0, np.int64))
        self._node("Range", [zero, "tokens", one], "/positions/range", "steps")
        self._node("Sub", ["row_tokens", "tokens"], "/positions/past", "past_tokens")
        self._node("Unsqueeze", ["past_tokens", axis], "/positions/column", "past_column")
        self._node("Add", ["past_column", "steps"], "/positions/add", "unclipped_positions")
        # A padded row of a batch may count past the table; what it computes there is never read.
        last = self._constant("last_position", np.array(self._config.n_positions - 1, np.int64))
        self._node("Clip", ["unclipped_positions", zero, last], "/positions/clip", "positions")

    def _embed(self) -> str:
        tokens = self._weight("model.embed_tokens.weight", self._weights["transformer.wte.weight"])
        positions = self._weight("model.embed_positions.weight", self._weights["transformer.wpe.weight"])
        self._node("Gather", [tokens, "input_ids"], "/model/embed_tokens/Gather", "token_rows")
        self._node("Gather", [positions, "positions"], "/model/embed_positions/Gather", "position_rows")
        return self._node("Add", ["token_rows", "position_rows"], "/model/embed/Add", "embedded")

    def _add_layer(self, layer: int, hidden: str) -> str:
        """Append one block; returns the name of its output, float32 [batch, tokens, hidden]."""
        ours, theirs = f"/model/layers.{layer}", f"transformer.h.{layer}"
        normed = self._normalize(hidden, f"{theirs}.ln_1", f"{ours}/input_layernorm")
        packed = self._project(normed, f"{theirs}.attn.c_attn", f"{ours}/attn/qkv_proj")
        attended = self._attend(layer, packed, f"{ours}/attn")
        output = self._project(attended, f"{theirs}.attn.c_proj", f"{ours}/attn/o_proj")
        hidden = self._node("Add", [hidden, output], f"{ours}/attn/residual", f"{ours}/attn/sum")
        normed = self._normalize(hidden, f"{theirs}.ln_2", f"{ours}/post_attention_layernorm")
        inner = self._project(normed, f"{theirs}.mlp.c_fc", f"{ours}/mlp/up_proj")
        # gelu_new is the tanh approximation (transformers: activations).
        active = self._node("Gelu", [inner], f"{ours}/mlp/Gelu", f"{ours}/mlp/active", approximate="tanh")
        output = self._project(active, f"{theirs}.mlp.c_proj", f"{ours}/mlp/down_proj")
        return self._node("Add", [hidden, output], f"{ours}/mlp/residual", f"{ours}/mlp/sum")

    def _attend(self, layer: int, packed: str, name: str) -> str:
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        heads = self._config.n_head
        self._nodes.append(helper.make_node(
            "GroupQueryAttention", [packed, "", "", *past, "seqlens_k", "total_sequence_length"],
            [f"{name}/output", *present], name=f"{name}/GroupQueryAttention", domain=_MICROSOFT, num_heads=heads,
            kv_num_heads=heads, do_rotary=0))
        return f"{name}/output"

    def _project(self, hidden: str, theirs: str, ours: str) -> str:
        """Append a linear layer; GPT-2 keeps its matrices as [in, out], as MatMul takes them."""
        weight = self._weight(f"{ours}.weight", self._weights[f"{theirs}.weight"])
        bias = self._weight(f"{ours}.bias", self._weights[f"{theirs}.bias"])
        product = self._node("MatMul", [hidden, weight], f"{ours}/MatMul", f"{ours}/product")
        return self._node("Add", [product, bias], f"{ours}/Add", f"{ours}/output")

    def _normalize(self, hidden: str, theirs: str, ours: str) -> str:
        parts = [self._weight(f"{ours}.{part}", self._weights[f"{theirs}.{part}"]) for part in ("weight", "bias")]
        return self._node("LayerNormalization", [hidden, *parts], f"{ours}/LayerNorm", f"{ours}/output", axis=-1,
                          epsilon=self._config.layer_norm_epsilon)

    def _weight(self, name: str, value: np.ndarray) -> str:
        return self._constant(name, np.ascontiguousarray(value, dtype=np.float32))

    def _constant(self, name: str, value: np.ndarray) -> str:
        self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def _node(self, operator: str, inputs: list[str], name: str, output: str, **attributes: object) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output
