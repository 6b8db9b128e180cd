"""Generates without a server, in a process of its own: onnxruntime-genai and transformers.

`python -m benchmarks.generation_in_process KIND PATH` reads one JSON job a line from standard input and prints one JSON
result a line. A job is {"prompts": [[token id, …], …], "tokens": …}, answered with when it was asked for and when the
pieces of each answer came, {"asked_s": …, "pieces_s": [[…], …]}.
KIND is "genai" (PATH is a version directory of the model repository, whose graph it runs as one static batch),
"genai-int4" (PATH is what its own builder wrote) or "transformers" (PATH is a checkpoint, asked prompt by prompt).
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.generation_prompts import Prompt
from benchmarks.generation_results import Stream
from benchmarks.in_process import InProcessWorker
from export.contract import LOGITS_FROM, MODEL_FILE
from export.decoder_head import LOGITS
from export.manifest import read_manifest
from serving.cores import available_cores

MODULE = "benchmarks.generation_in_process"
BATCH = 8
GENAI, GENAI_INT4, TRANSFORMERS = "genai", "genai-int4", "transformers"
Generate = Callable[[list[list[int]], int], dict]


class GenerationWorker(InProcessWorker):
    """The child process, seen from the benchmark."""

    def __init__(self, kind: str, path: Path) -> None:
        super().__init__(kind, path, MODULE)

    def take_wave(self, prompts: list[Prompt], lengths: list[int]) -> list[Stream]:
        """Return the streams of prompts that come at once, eight at a time and each batch until its longest ends."""
        streams: list[Stream] = []
        for start in range(0, len(prompts), BATCH):
            wanted = lengths[start:start + BATCH]
            answer = self.ask({"prompts": [prompt.token_ids for prompt in prompts[start:start + BATCH]],
                               "tokens": max(wanted)})
            asked_s = streams[0].asked_s if streams else answer["asked_s"]
            streams += [Stream(asked_s, pieces_s[:tokens], tokens)
                        for pieces_s, tokens in zip(answer["pieces_s"], wanted, strict=True)]
        return streams


def load_genai_int4(built: Path, folder: Path, threads: int) -> Generate:
    """Load what onnxruntime-genai's own builder wrote; `folder` takes its description with our threads."""
    for file in built.glob("*.*"):
        shutil.copy(file, folder)
    config = json.loads((built / "genai_config.json").read_text(encoding="utf-8"))
    config["model"]["decoder"]["session_options"] |= session_options(threads)
    (folder / "genai_config.json").write_text(json.dumps(config), encoding="utf-8")
    return genai_loop(folder)


def load_genai(version_dir: Path, folder: Path, threads: int) -> Generate:
    """Load the graph that Conch serves in onnxruntime-genai, which reads its description from `folder`."""
    import onnx

    for file in version_dir.glob(f"{MODEL_FILE}.*"):
        shutil.copy(file, folder)  # weights outside the graph's folder are refused, linked ones too
    graph = onnx.load(str(version_dir / MODEL_FILE), load_external_data=False)
    # This runtime computes a prompt's last logits only where the graph can give no others.
    graph.graph.input.remove(next(item for item in graph.graph.input if item.name == LOGITS_FROM))
    logits = next(item for item in graph.graph.output if item.name == LOGITS)
    logits.type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(graph, str(folder / MODEL_FILE))
    (folder / "genai_config.json").write_text(json.dumps(genai_config(version_dir, threads)))
    return genai_loop(folder)


def genai_loop(folder: Path) -> Generate:
    """Return what generates with the model that `folder` describes, as one static batch."""
    # Each kind imports only what it measures: torch's threads have no place beside ONNX Runtime's.
    import numpy as np
    import onnxruntime_genai

    model = onnxruntime_genai.Model(str(folder))

    def generate(prompts: list[list[int]], tokens: int) -> dict:
        parameters = onnxruntime_genai.GeneratorParams(model)
        length = len(prompts[0]) + tokens
        # A least length keeps the end token away, as ignore_eos does elsewhere.
        parameters.set_search_options(max_length=length, min_length=length, batch_size=len(prompts), do_sample=False)
        generator = onnxruntime_genai.Generator(model, parameters)
        asked_s, steps_s = time.perf_counter(), []
        generator.append_tokens(np.array(prompts, np.int32))
        for _ in range(tokens):
            generator.generate_next_token()
            steps_s.append(time.perf_counter())
        return {"asked_s": asked_s, "pieces_s": [steps_s] * len(prompts)}

    return generate


def session_options(threads: int) -> dict:
    """Return ONNX Runtime's options; threads spin, as they do by default, which is faster for every batch."""
    return {"intra_op_num_threads": threads, "inter_op_num_threads": 1, "session.intra_op.allow_spinning": "1"}


def genai_config(version_dir: Path, threads: int) -> dict:
    """Return what onnxruntime-genai must know of a version (source: genai_config.json of its model builder)."""
    manifest = read_manifest(version_dir)
    names = {"key": "%d.key", "value": "%d.value"}
    decoder = {
        "filename": MODEL_FILE, "head_size": manifest.head_dim, "num_hidden_layers": manifest.layers,
        # The heads of queries are inside the graph; nothing but keys and values is laid out by this description.
        "num_key_value_heads": manifest.kv_heads, "num_attention_heads": manifest.kv_heads,
        "session_options": {**session_options(threads), "provider_options": []},
        "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask",
                   **{f"past_{kind}_names": f"past_key_values.{name}" for kind, name in names.items()}},
        "outputs": {"logits": "logits", **{f"present_{kind}_names": f"present.{name}" for kind, name in names.items()}},
    }
    end = manifest.stop_token_ids[0]
    return {
        "model": {"type": "llama", "vocab_size": manifest.vocab_size, "context_length": manifest.max_tokens,
                  "bos_token_id": end, "eos_token_id": list(manifest.stop_token_ids), "pad_token_id": end,
                  "decoder": decoder},
        "search": {"do_sample": False, "max_length": manifest.max_tokens, "past_present_share_buffer": True},
    }


def load_transformers(checkpoint: Path, folder: Path, threads: int) -> Generate:
    """Load a checkpoint in float32; `folder` takes what must be unpacked of it."""
    import torch
    from transformers.generation.streamers import BaseStreamer

    from export.decoder_checkpoint import load_decoder, open_checkpoint

    class Times(BaseStreamer):
        """Notes when each token comes; the first call brings the prompt."""

        def __init__(self) -> None:
            self.calls_s: list[float] = []

        def put(self, value: torch.Tensor) -> None:
            self.calls_s.append(time.perf_counter())

        def end(self) -> None:
            """Nothing is left to note."""

    torch.set_num_threads(threads)
    model = load_decoder(open_checkpoint(checkpoint, folder).path)
    model.generation_config.eos_token_id = None

    def generate(prompts: list[list[int]], tokens: int) -> dict:
        [prompt] = prompts
        times, asked_s = Times(), time.perf_counter()
        token_ids = torch.tensor([prompt])
        model.generate(token_ids, attention_mask=torch.ones_like(token_ids), do_sample=False, max_new_tokens=tokens,
                       streamer=times, pad_token_id=0)
        return {"asked_s": asked_s, "pieces_s": [times.calls_s[1:]]}

    return generate


_LOADERS = {GENAI: load_genai, GENAI_INT4: load_genai_int4, TRANSFORMERS: load_transformers}


def main() -> None:
    """Load what the command line names and answer jobs until standard input ends."""
    kind, path, threads = sys.argv[1], Path(sys.argv[2]), available_cores()
    with tempfile.TemporaryDirectory() as folder:
        generate = _LOADERS[kind](path, Path(folder), threads)
        for line in sys.stdin:
            job = json.loads(line)
            print(json.dumps(generate(job["prompts"], job["tokens"])), flush=True)


if __name__ == "__main__":
    main()
