# syntax=docker/dockerfile:1
# camcli on a CPU, as a user that is nobody in particular, and without a network:
#
#   docker build -t camcli .
#   docker run --rm --network none -v "$PWD/photos:/photos:ro" -v "$PWD/out:/work" \
#       --user "$(id -u):$(id -g)" camcli batch /photos --out /work/run
#
# SIGTERM ('docker stop') ends a run as Ctrl-C does: what was begun is finished and --resume goes on.
# camcli takes signals itself and leaves no children, so there is no init in front of it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# Empty installs PyPI's torch, which is the CUDA build: 5 GB more.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Of camcli: "[heif,parquet]", say.
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/camcli
ENV PATH=/opt/camcli/bin:$PATH
WORKDIR /src
# torch in a layer of its own: it changes with pyproject.toml, not with every edit.
COPY pyproject.toml ./
COPY ci/install_torch.py ci/
RUN if [ -n "$TORCH_INDEX" ]; then python ci/install_torch.py --index "$TORCH_INDEX"; fi
COPY README.md LICENSE ./
COPY camcli camcli
COPY sample_images sample_images
COPY configs configs
# What is installed is the source that was copied.
# hadolint ignore=DL3013
RUN pip install ".${EXTRAS}" && pip check

FROM python:${PYTHON}-slim
# Whoever runs it (--user) may write to no folder but those that are given to it, and /tmp.
ENV PATH=/opt/camcli/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUTF8=1 \
    CAMCLI_CACHE=/tmp/camcli \
    MPLCONFIGDIR=/tmp/matplotlib
COPY --from=build /opt/camcli /opt/camcli
RUN useradd --uid 10001 --no-create-home --home-dir /tmp camcli \
    && mkdir /work && chown camcli /work
USER 10001
WORKDIR /work
# The image is tried where it is made: it explains a picture, and asks no network.
RUN --network=none --mount=type=bind,source=sample_images,target=/sample \
    camcli explain /sample/cat.jpg --out /tmp/tried.jpg && rm -rf /tmp/*
ENTRYPOINT ["camcli"]
CMD ["--help"]
