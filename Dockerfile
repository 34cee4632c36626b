# syntax=docker/dockerfile:1
# Two images of RALLRec+, alike in user, volume, port, health check and command:
#
#   docker build --target cpu --tag rallrec:cpu .    the embedded default; downloads nothing when it starts
#   docker build --target gpu --tag rallrec:gpu .    vLLM on an NVIDIA GPU; models come from a hub or a mounted folder
#
# Build arguments: TORCH_INDEX (cpu: where PyTorch's CPU build comes from), EXTRAS (cpu: extras of the project, such as
# postgres), GPU_EXTRAS (gpu: the same, such as gpu,postgres), CUDA_PACKAGES (gpu: what compiles kernels at run time).

FROM python:3.11-slim-bookworm AS cpu-base
ENV PYTHONUNBUFFERED=1

# ---- the packages: before the code and by their names alone, so that only a changed requirement makes new layers -----
FROM cpu-base AS requirements
WORKDIR /build
COPY pyproject.toml docker/requirements.py ./
ARG EXTRAS=""
ARG GPU_EXTRAS=gpu
RUN python requirements.py "$EXTRAS" >cpu.txt && python requirements.py "$GPU_EXTRAS" >gpu.txt

FROM cpu-base AS cpu-packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# On the default index PyTorch for Linux is the CUDA build, several GB. The pin is the project's own; pip takes the
# "+cpu" build of that version over the plain one.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" "$(grep -m1 '^torch==' constraints.txt)"
COPY --from=requirements /build/cpu.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt --requirement cpu.txt
# Headers for building extensions and PyTorch's own test programs: 145 MB that nothing here uses.
# hadolint ignore=DL3059
RUN rm -rf /opt/venv/lib/python3.11/site-packages/torch/include /opt/venv/lib/python3.11/site-packages/torch/test

# ---- the project itself, in a folder of its own: the same for both targets -------------------------------------------
FROM cpu-packages AS project
COPY LICENSE NOTICE README.md pyproject.toml ./
COPY app app
COPY backend backend
COPY scripts scripts
COPY storage storage
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt --target /opt/rallrec .

# ---- what the first page needs: dataset, model, item vectors and their index -----------------------------------------
FROM project AS seed
WORKDIR /
ENV PATH=/opt/rallrec/bin:$PATH PYTHONPATH=/opt/rallrec RALLREC_HOME=/opt/seed
RUN rallrec prepare --model
RUN rallrec precompute --until index \
    && rm -rf /opt/seed/artifacts/.[!.]* \
    && chmod -R a+rX /opt/seed

# ---- gpu: CUDA 13.0 is what PyTorch's and vLLM's wheels are built for; they bring its libraries with them, so the base
# image is the smallest that makes the driver visible ------------------------------------------------------------------
FROM nvidia/cuda:13.0.3-base-ubuntu24.04 AS gpu-base
ENV PYTHONUNBUFFERED=1
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM gpu-base AS gpu-packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY constraints.txt ./
RUN pip install --no-cache-dir "$(grep -m1 '^torch==' constraints.txt)"
COPY --from=requirements /build/gpu.txt ./
# mistral-common, which vLLM needs, takes no NumPy from 2.4 on under Python 3.12.
RUN sed 's/^numpy==.*/numpy<2.4/' constraints.txt >gpu-constraints.txt \
    && pip install --no-cache-dir --constraint gpu-constraints.txt --requirement gpu.txt

# ---- target gpu ------------------------------------------------------------------------------------------------------
FROM gpu-base AS gpu
LABEL org.opencontainers.image.title="RALLRec+ (gpu)" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Holds MovieLens data: no commercial use without permission, see /usr/share/doc/rallrec"
# Triton compiles its launchers with a C compiler and Python's headers, FlashInfer its kernels with nvcc, when they run.
ARG CUDA_PACKAGES="cuda-nvcc-13-0 cuda-cudart-dev-13-0 cuda-nvrtc-dev-13-0 cuda-cuobjdump-13-0 libcurand-dev-13-0 libcublas-dev-13-0"
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gcc libc6-dev python3-dev tini $CUDA_PACKAGES \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 rallrec \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin rallrec \
    && install --directory --owner rallrec --group rallrec /data
COPY --from=gpu-packages /opt/venv /opt/venv
COPY --from=seed /opt/seed/datasets /opt/seed/datasets
COPY --from=seed /opt/seed/artifacts /opt/seed/artifacts
COPY --from=project /opt/rallrec /opt/rallrec
COPY LICENSE NOTICE backend/datasets/data/README.md /usr/share/doc/rallrec/
COPY docker/docker-entrypoint.sh docker/healthcheck.py /usr/local/lib/rallrec/
ENV PATH=/opt/rallrec/bin:/opt/venv/bin:$PATH PYTHONPATH=/opt/rallrec PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data USER=rallrec HF_HOME=/data/hub \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RALLREC_HOME=/data RALLREC_HOST=0.0.0.0 RALLREC_PROFILE=paper
WORKDIR /data
VOLUME ["/data"]
EXPOSE 7860
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "/usr/local/lib/rallrec/healthcheck.py"]
ENTRYPOINT ["tini", "--", "sh", "/usr/local/lib/rallrec/docker-entrypoint.sh"]
CMD ["rallrec", "serve"]

# ---- target cpu, the last and so the default -------------------------------------------------------------------------
FROM cpu-base AS cpu
LABEL org.opencontainers.image.title="RALLRec+ (cpu)" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Holds MovieLens data: no commercial use without permission, see /usr/share/doc/rallrec"
# The first process: hands signals on from the first moment, which Python as process 1 does only once the server is up.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 rallrec \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin rallrec \
    && install --directory --owner rallrec --group rallrec /data
COPY --from=cpu-packages /opt/venv /opt/venv
COPY --from=seed /opt/seed/models /opt/seed/models
COPY --from=seed /opt/seed/datasets /opt/seed/datasets
COPY --from=seed /opt/seed/artifacts /opt/seed/artifacts
COPY --from=project /opt/rallrec /opt/rallrec
COPY LICENSE NOTICE backend/datasets/data/README.md /usr/share/doc/rallrec/
COPY docker/docker-entrypoint.sh docker/healthcheck.py /usr/local/lib/rallrec/
ENV PATH=/opt/rallrec/bin:/opt/venv/bin:$PATH PYTHONPATH=/opt/rallrec PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data USER=rallrec HF_HOME=/data/hub \
    RALLREC_HOME=/data RALLREC_HOST=0.0.0.0
WORKDIR /data
VOLUME ["/data"]
EXPOSE 7860
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "/usr/local/lib/rallrec/healthcheck.py"]
ENTRYPOINT ["tini", "--", "sh", "/usr/local/lib/rallrec/docker-entrypoint.sh"]
CMD ["rallrec", "serve"]
