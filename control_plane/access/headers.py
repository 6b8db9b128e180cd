"""Security headers of every answer (source: OWASP HTTP Headers cheat sheet). Knows nothing of keys."""

from flask import Flask, Response

_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The documentation's page starts itself with a script within it, and Swagger UI writes styles and draws icons from
# data: URLs. All of it comes from this host, and so does everything that the page may ask.
_PAGE_POLICY = ("default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
                "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
                "frame-ancestors 'none'")


def add_security_headers(app: Flask) -> None:
    """Add the headers to every answer of `app`, also to errors."""
    @app.after_request
    def add(response: Response) -> Response:
        headers = response.headers
        for name, value in _HEADERS:
            headers.add(name, value)
        if "Content-Security-Policy" not in headers:  # A page that needs less than the documentation says so itself.
            headers.add("Content-Security-Policy", _PAGE_POLICY if response.mimetype == "text/html" else _POLICY)
        # Answers belong to the key that asked. What may be kept (the files of the documentation) says so itself.
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
        return response
