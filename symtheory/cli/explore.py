"""`symtheory explore`: interactive apps in a browser."""

from typing import Annotated, Any, Literal

from tyro.conf import Positional

Name = Literal["index", "plane", "difficulty", "one_step", "tree", "replay", "estimator", "regimes"]


def run(name: Annotated[Name, Positional] = "index", browser: bool = True, port: int | None = None) -> None:
    """Open apps with sliders in the browser, to see where asymmetry helps and where it hurts.

    Serves marimo apps on this machine (127.0.0.1) to whoever holds the token in the address, until Ctrl-C.

    Examples to paste:

        $ symtheory explore
        $ symtheory explore plane

    Args:
        name: index: all of them. plane: an estimator anywhere on the symmetry plane. difficulty: populations of prompts
            from easy to hard. one_step: one group of rollouts, theory against measured. tree: probability moving in a
            reasoning tree. replay: a saved training run of the transformer. estimator: your own, typed in. regimes:
            verifier errors, filters, stale rollouts, clipping, KL.
        browser: Open the browser.
        port: Port to serve on; a free one by default.
    """
    import importlib.util
    import os
    import secrets
    import socket
    import threading
    import webbrowser

    from ..errors import InputError
    from ..paths import cache, notebooks

    if importlib.util.find_spec("marimo") is None:
        raise InputError('explore needs marimo; install it with: pip install "symtheory[explore]"')
    if name != "index" and not (notebooks() / f"{name}.py").exists():
        raise InputError(f"no notebook {name!r} in {notebooks()}")
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port must be between 1 and 65535, got {port}")

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache() / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    import uvicorn

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port or 0))
        listening.listen()  # whoever comes before the apps are loaded waits
    except OSError as error:
        raise InputError(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from None
    token = secrets.token_urlsafe(24)
    folder = "" if name == "index" else f"{name}/"
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/{folder}?access_token={token}"
    what = "Open it and click on a card" if name == "index" else "Open it and move a slider"
    print(f"{what}:\n\n    {address}\n\nOnly this machine, and only with that token. Ctrl-C stops.", flush=True)
    if browser:
        opening = threading.Timer(1.0, webbrowser.open, [address])
        opening.daemon = True
        opening.start()
    server = uvicorn.Server(uvicorn.Config(application(token), log_level="error", lifespan="off"))
    server.run(sockets=[listening])


def application(token: str) -> Any:
    """The index at `/` and each app in the folder of its name, for those who hold the token."""
    import marimo
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route

    from ..apps import index
    from ..paths import notebooks

    builder = marimo.create_asgi_app(quiet=True)
    for card in index.CARDS:
        notebook = notebooks() / f"{card.name}.py"
        if notebook.exists():
            builder = builder.with_app(path=f"/{card.name}", root=str(notebook))
    document = index.page()
    routes = [Route("/", lambda _: HTMLResponse(document)), Mount("/", builder.build())]
    return guarded(Starlette(routes=routes), token)


def guarded(app: Any, token: str) -> Any:
    """The application for whoever sends the token, in the address the first time and then as a cookie.

    Any program of this machine could use the apps otherwise, and one of them runs the code that it is given.
    """
    import secrets
    from http.cookies import SimpleCookie
    from urllib.parse import parse_qs

    from starlette.responses import PlainTextResponse, RedirectResponse

    def held(given: str) -> bool:
        return secrets.compare_digest(given.encode(), token.encode())

    async def guard(scope, receive, send):
        headers = {key.decode().lower(): value.decode("latin-1") for key, value in scope.get("headers", ())}
        port = scope["server"][1]
        name = f"symtheory_{port}"  # cookies do not know ports: two servers would take each other's
        cookie = SimpleCookie(headers.get("cookie", "")).get(name)
        asked = parse_qs(scope.get("query_string", b"").decode()).get("access_token", [""])[0]
        if cookie is not None and held(cookie.value):
            return await app(scope, receive, send)
        if scope["type"] == "http" and held(asked):
            answer = RedirectResponse(scope["path"], status_code=303)
            answer.set_cookie(name, token, httponly=True, samesite="strict")
            return await answer(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 4401})
        answer = PlainTextResponse("The apps need the token in the address that the command printed.\n", 403)
        await answer(scope, receive, send)

    return guard
