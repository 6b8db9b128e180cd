# NVIDIA's Triton with Conch in it. The tag is the release of tritonserver 2.51, the version that the tests run.
FROM nvcr.io/nvidia/tritonserver:24.10-py3

WORKDIR /opt/conch
COPY pyproject.toml constraints.txt README.md ./
COPY conch conch
COPY control_plane control_plane
COPY export export
COPY serving serving
# torch's CPU build: it is only used to export, and saves several gigabytes.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    -c constraints.txt '.[serving,export]'

ENV CONCH_HOME=/var/lib/conch \
    CONCH_MODEL_REPOSITORY=/models \
    CONCH_HOST=0.0.0.0
VOLUME ["/var/lib/conch", "/models"]
EXPOSE 8080 8000 8001 8002
CMD ["conch", "serve"]
