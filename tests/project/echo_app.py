"""A WSGI application that answers with what gunicorn made of the request."""


def application(environ, start_response):
    failed = environ["PATH_INFO"] == "/fail"
    start_response("500 Failed" if failed else "200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]
