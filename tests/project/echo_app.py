"""A WSGI application that tells what gunicorn made of a request."""

import time


def application(environ, start_response):
    environ["wsgi.input"].read()
    failed = environ["PATH_INFO"] == "/fail"
    start_response("500 Failed" if failed else "200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/slow":
        return slowly()
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]


def slowly():
    """Answer for longer than a HastyWorker waits for requests."""
    for _ in range(30):
        time.sleep(0.1)
        yield b"."
