# MindCubes in a container, as a user without rights.
#   docker build --tag mindcubes .                                  for CPUs
#   docker build --tag mindcubes:cuda --build-arg DEVICE=cuda .     for NVIDIA GPUs
FROM python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7

# cpu: torch without CUDA, several gigabytes less. cuda: torch with the CUDA libraries that it brings along.
ARG DEVICE=cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    MINDCUBES_DATA_DIR=/data/mindcubes \
    HF_HOME=/data/huggingface

RUN useradd --create-home --uid 1000 mindcubes && mkdir /data && chown mindcubes:mindcubes /data

WORKDIR /app
COPY requirements.txt constraints.txt ./
# uv knows where torch without CUDA is published.
RUN case "$DEVICE" in cpu) backend="--torch-backend=cpu" ;; cuda) backend="" ;; *) echo "DEVICE is cpu or cuda" >&2; exit 1 ;; esac \
    && pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-cache ${backend:+"$backend"} --constraint constraints.txt --requirement requirements.txt \
    && pip uninstall --yes uv

COPY app.py README.md LICENSE ./
COPY api ./api
COPY engine ./engine
COPY ui ./ui

USER mindcubes
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
