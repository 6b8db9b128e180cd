# NVIDIA's Triton with what our backend imports, for GPUs NVIDIA's Triton with vLLM, and Conch itself. docker-compose.yml
# builds them.

# The tag is the release of tritonserver 2.51, the version that the tests run. The code is mounted, not copied.
FROM nvcr.io/nvidia/tritonserver:24.10-py3 AS triton
COPY constraints.txt /opt/conch/
RUN pip install --no-cache-dir -c /opt/conch/constraints.txt "numpy<2" jinja2 llguidance llvmlite numba onnx onnxruntime openvino psutil tokenizers
# The code is mounted read-only; what it compiles goes elsewhere, so that the next load need not.
ENV PYTHONPATH=/opt/conch \
    NUMBA_CACHE_DIR=/tmp/conch-numba
EXPOSE 8000 8001 8002

# Nothing is added. It is newer than the other, for NVIDIA's vLLM backend (docs/generation.md#vllm).
FROM nvcr.io/nvidia/tritonserver:25.12-vllm-python-py3 AS vllm
EXPOSE 8000 8001 8002

FROM python:3.11.10-slim-bookworm AS conch
WORKDIR /opt/conch
COPY pyproject.toml constraints.txt README.md ./
COPY conch conch
COPY control_plane control_plane
COPY export export
COPY serving serving
COPY training training
# torch's CPU build: it is only used to export and to train, and saves several gigabytes. An export computes with the engines too.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    -c constraints.txt '.[export,training]' llvmlite numba openvino tokenizers
# A volume takes its owner from the directory that it covers.
RUN useradd --uid 10001 --no-create-home conch && install -d -o conch /var/lib/conch /models /keys
USER conch
ENV CONCH_HOME=/var/lib/conch \
    NUMBA_CACHE_DIR=/var/lib/conch/numba \
    CONCH_MODEL_REPOSITORY=/models \
    HOME=/var/lib/conch \
    PYTHONUNBUFFERED=1
EXPOSE 8080
