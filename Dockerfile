# The api, worker and beat of one release. The argument of a container chooses one of them, `api | worker | beat`, after
# `prepare`. Without any settings, it prints what it needs.
FROM python:3.11-slim AS build
RUN python -m venv --without-pip /venv
COPY requirements.lock /
RUN sed '/^# --- local/,$d' /requirements.lock \
 | pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /dev/stdin

FROM python:3.11-slim
# Close the directories that Debian leaves open to all users, except /tmp, which is a volume below.
RUN useradd --system --uid 10001 --no-create-home tasktracker && chmod 755 /var/tmp /run/lock
WORKDIR /srv
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PROMETHEUS_MULTIPROC_DIR=/tmp
COPY alembic.ini main.py celery_worker.py ./
COPY migrations migrations
COPY app app
# The compiled files cannot be written later.
RUN python -m compileall -q .
# For /version: docker build --build-arg RELEASE_COMMIT="$(git rev-parse HEAD)" .
ARG RELEASE_COMMIT=
ENV RELEASE_COMMIT=$RELEASE_COMMIT
USER tasktracker
VOLUME /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "main.py"]
CMD ["api"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
