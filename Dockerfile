# An image of `retr serve` for the CPU. Build it at the root of the project:  docker build -t retr .
# The index is not in it: mount one at /index, and a token at /run/secrets/token (see compose.yaml), both readable by the
# user 10001.
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/retr
COPY . /source/
# PyTorch's libraries for GPUs are gigabytes: --build-arg TORCH_INDEX=… names the index of its builds for the CPU.
ARG TORCH_INDEX=
RUN if [ -n "$TORCH_INDEX" ]; then \
      sed -nE 's/^((torch|torchvision)==[^ ;]*).*/\1/p' /source/constraints.txt > /tmp/torch.txt && \
      /opt/retr/bin/pip install --index-url "$TORCH_INDEX" --constraint /tmp/torch.txt torch torchvision; \
    fi && \
    /opt/retr/bin/pip install --constraint /source/constraints.txt '/source[serve,heif]'

FROM python:3.13-slim

COPY --from=build /opt/retr /opt/retr
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin retr
ENV PATH=/opt/retr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RETR_CACHE=/tmp/retr
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["retr", "serve", "/index", "--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
