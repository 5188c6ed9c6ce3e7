# The image of all StableQueue services. As it is, it is the web process; docker-compose.yml
# says what else it becomes.

FROM python:3.12-slim AS build
COPY requirements.txt .
# Wheels only: the slim image has no compiler, and none is needed.
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --only-binary :all: -r requirements.txt

FROM python:3.12-slim
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py ./
COPY apikeys apikeys
COPY events events
COPY jobs jobs
COPY models_catalog models_catalog
COPY imaging imaging
COPY servers servers
COPY stablequeue_project stablequeue_project
COPY webhooks webhooks
# Served at /api/openapi.json.
COPY docs docs
# The file system is read-only later on.
RUN python -m compileall -q .
# Any other user will do: nothing outside of the volumes is written.
USER 1000:1000
EXPOSE 8083
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s \
    CMD ["python", "manage.py", "healthy", "web", "--port", "8083"]
# Brings the database up to date, then becomes the command.
ENTRYPOINT ["python", "-m", "stablequeue_project.stack.migrate"]
CMD ["python", "-m", "gunicorn", "stablequeue_project.wsgi:application", \
     "--config", "python:stablequeue_project.gunicorn_config", "--bind", "0.0.0.0:8083"]
