"""Names that export, serving, training and the control plane must agree on. Standard library only."""

import re
from pathlib import Path

# A model's name is a directory name and part of URLs, so it has no slash, no `..` and no control character.
MODEL_NAME_MAX_CHARS = 64
MODEL_NAME_PATTERN = re.compile(rf"^[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{{0,{MODEL_NAME_MAX_CHARS - 1}}}\Z")
# A version's directory name; "007" is none, because readers look for it under "7".
_VERSION_PATTERN = re.compile(r"^[1-9][0-9]*\Z")

# Files of a version directory, model_repository/<model>/<version>/.
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "manifest.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"  # of a generator whose checkpoint has one
VLLM_ARGUMENTS_FILE = "model.json"          # of a version for vLLM: the arguments of its engine
CONFIG_FILE = "config.pbtxt"

# Parts of a trained intent checkpoint: training writes them, the export reads them.
INTENT_FILE = "intent.json"            # labels, thresholds, temperature, prompt, where it came from
HEAD_FILE = "head.safetensors"         # weight float32 [labels, dimension], bias float32 [labels]
ENCODER_FOLDER = "encoder"             # a sentence-transformers directory
INTENT_FORMAT = 1

# What a model does; catalog and manifest say it.
EMBEDDING = "embedding"
INTENT = "intent"
TEXT_GENERATION = "text-generation"
TASKS = (EMBEDDING, INTENT, TEXT_GENERATION)

# Triton backends that serve the models (serving/backends/<name>/model.py).
TEXT_ENCODER_BACKEND = "text_encoder"
TEXT_GENERATOR_BACKEND = "text_generator"
# NVIDIA's own, in its images for GPUs; also the engine that manifests of versions for it state.
VLLM_BACKEND = "vllm"

# Rows that one request may carry, and that Triton may put into one batch. The backend cuts a batch into micro-batches,
# so a large value costs no padding; it bounds how long one batch keeps the next waiting (0.15 s for short texts on two
# cores).
MAX_BATCH_SIZE = 128

# HTTP header that opens Triton's restricted APIs; its value is a secret that only the control plane knows.
SECRET_HEADER = "x-conch-secret"  # noqa: S105 - the header's name, not the secret

# Parameters of a model in its config.pbtxt (Triton: model configuration, "parameters"), of any backend of ours.
CPU_THREADS_PARAMETER = "cpu_threads"  # cores that its instances may use together; default every core

# Tensors of the text_encoder backend.
TEXT_INPUT = "text"                # BYTES [1], UTF-8
EMBEDDING_OUTPUT = "embedding"     # FP32 [dimension], of an embedding model
SCORES_OUTPUT = "scores"           # FP32 [labels], of an intent model: how likely each label holds, 0 to 1
LABELS_OUTPUT = "labels"           # BYTES [labels], of an intent model: the names, as versions differ in their labels
TOKEN_COUNT_OUTPUT = "token_count"  # noqa: S105 - INT32 [1], special tokens and prompt included, after truncation

# Request parameters of the text_encoder backend (KServe v2 "parameters").
PROMPT_NAME_PARAMETER = "prompt_name"  # string: a prompt of the manifest, put before every text
TRUNCATE_PARAMETER = "truncate"        # bool: false makes an over-long text an error
NORMALIZE_PARAMETER = "normalize"      # bool: overrides whether embeddings have length 1; refused for intents

# Tensors of the text_generator backend, all of shape [1] unless stated; those of Triton's vLLM backend and more.
PROMPT_INPUT = "text_input"            # BYTES, UTF-8; this or the messages
MESSAGES_INPUT = "messages"            # BYTES, JSON: [{"role", "content"}, …], for the chat template
TOOLS_INPUT = "tools"                  # BYTES, JSON: a list of tools, for chat templates that take them
STREAM_INPUT = "stream"                # BOOL: a response for each piece of text
SAMPLING_INPUT = "sampling_parameters"  # BYTES, JSON: serving/generator/sampling_parameters.py
EXCLUDE_PROMPT_INPUT = "exclude_input_in_output"  # BOOL: false puts the prompt before the text
RETURN_FINISH_REASON_INPUT = "return_finish_reason"              # BOOL, as the four below: with every response
RETURN_CUMULATIVE_LOGPROB_INPUT = "return_cumulative_logprob"
RETURN_LOGPROBS_INPUT = "return_logprobs"
RETURN_INPUT_TOKENS_INPUT = "return_num_input_tokens"
RETURN_OUTPUT_TOKENS_INPUT = "return_num_output_tokens"
TEXT_OUTPUT = "text_output"            # BYTES [1]; [n] when not streamed
FINISH_REASON_OUTPUT = "finish_reason"  # BYTES [1]; [n] when not streamed: "stop", "length", or "None" before the end
INPUT_TOKENS_OUTPUT = "num_input_tokens"    # UINT32
OUTPUT_TOKENS_OUTPUT = "num_output_tokens"  # UINT32 [1]; [n] when not streamed: since the response that told it last
CUMULATIVE_LOGPROB_OUTPUT = "cumulative_logprob"  # FP32 [1]; [n] when not streamed
LOGPROBS_OUTPUT = "logprobs"           # BYTES [1], JSON; [n] when not streamed
DROPPED_OUTPUT = "num_dropped_messages"  # UINT32, last: messages with "droppable": true that had no room
INDEX_OUTPUT = "index"                 # INT32: which of the n sequences a streamed response is of

# Request parameters of the text_generator backend; where there is no SAMPLING_INPUT the others are sampling parameters.
KEY_PARAMETER = "request_key"          # string: a name that only the client knows, by which it may cancel the request
CANCEL_PARAMETER = "cancel"            # string: the key of a request to cancel; such a request needs no inputs
ERROR_STATUS_PARAMETER = "error_status"  # bool: errors begin with gRPC's status and ": "; a stream tells none itself

# Optional input of a decoder's graph, int64 [1]: the first token of a run that logits are wanted of; else the last.
LOGITS_FROM = "logits_from"

# Words by which the control plane knows in a backend's message that memory was short; Triton has no code for it.
OUT_OF_MEMORY = "out of memory"
# What a model has no room for now begins with this; another server, or later, may have.
TOO_MANY_WAIT = "too many requests wait"

# Tensors of an encoder's ONNX graph. Several texts are packed one after another into a row, so that nearly no
# computation is spent on padding (docs/decisions/0004).
INPUT_IDS = "input_ids"                # int64 [rows, row_tokens], token ids
POSITION_IDS = "position_ids"          # int64 [rows, row_tokens], position of the token in its own text, from 0
SEGMENT_IDS = "segment_ids"            # int64 [rows, row_tokens], which text of the row a token is of; -1 is padding
TOKEN_INDEX = "token_index"            # noqa: S105 - int64 [texts, text_tokens], a text's tokens in the flattened rows
POOLING_MASK = "pooling_mask"          # int64 [texts, text_tokens], 1 for the tokens that the pooling sees
RAW_EMBEDDING = "raw_embedding"        # float32 [texts, dimension], before the final normalisation
UNIT_EMBEDDING = "unit_embedding"      # float32 [texts, dimension], length 1
SCORES = "scores"                      # float32 [texts, labels], in place of the embeddings where there is a head


class ConchError(Exception):
    """Base of every error whose message is written for the user: what was wrong, where, and what to do."""


def version_numbers(model_dir: Path) -> list[int]:
    """Return the version numbers published under `model_dir`, ascending; staging directories do not count."""
    if not model_dir.is_dir():
        return []
    names = (path.name for path in model_dir.iterdir() if path.is_dir())
    return sorted(int(name) for name in names if _VERSION_PATTERN.match(name))
