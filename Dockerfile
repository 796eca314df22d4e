# The api, worker and beat of one release; which of them a container is, its command says.
FROM python:3.11-slim AS build
WORKDIR /srv
RUN python -m venv /venv
COPY requirements.lock .
RUN sed '/^# --- local/,$d' requirements.lock | /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /dev/stdin

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home tasktracker
WORKDIR /srv
COPY --from=build /venv /venv
COPY alembic.ini main.py celery_worker.py ./
COPY migrations migrations
COPY app app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER tasktracker
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "10", "--respawn-failed-workers", "--workers-kill-timeout", "10", "main:app"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
