"""The page of `zsc play`, served until it is interrupted: on this machine alone, and with no request to any other."""

import os
import socket
import webbrowser
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from zsc.errors import ZscError
from zsc.install import check_installed
from zsc.study.play.options import PlayOptions
from zsc.study.watch import Watch, say_remarks

TRIED = 20  # ports, where that asked for is taken
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE = 2  # seconds that open connections have at the end
POLICY = (
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self';"
    b" base-uri 'self'"
)  # what a browser may ask of whom: nobody else
App = Callable[[Any, Any, Any], Awaitable[None]]


def serve(options: PlayOptions, words: Sequence[str], watch: Watch) -> None:
    """Load the model and serve the page until Ctrl-C, a KeyboardInterrupt. ``words`` are those of the command.

    Raises ZscError where Gradio is missing, no port is free, and for what cannot be loaded.
    """
    check_installed("gradio", "play", "zsc play")
    listening = listen(options)
    with listening:
        from zsc.study.play.playground import Playground

        playground = Playground(options, words)
        say_remarks("\n".join(playground.format.remarks), watch)
        run(app_of(playground, options.host), listening, options, watch)


def listen(options: PlayOptions) -> socket.socket:
    """Return a socket that listens at ``host``, on ``port`` or the next one that is free. Raises ZscError."""
    try:
        family, *_, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ZscError(f"host={options.host} is no address of this machine: {error.strerror or error}.") from error
    last = min(options.port + TRIED, 65536) if options.port else 1
    for port in range(options.port, last):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address[0], port, *address[2:]))
            one.listen()
            return one
        except OSError as error:
            one.close()
            why = error.strerror or str(error)
    raise ZscError(
        f"cannot listen at host={options.host}, ports {options.port} to {last - 1}: {why}. Give another, such as"
        " port=8000, or port=0 for any that is free."
    )


def url_of(listening: socket.socket, host: str) -> str:
    """Return the address of the page."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"


def app_of(playground: Any, host: str) -> App:
    """Return the page as an ASGI application."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    from fastapi import FastAPI

    from zsc.study.play.page import CSS, FONTS, MONO, build

    theme = gr.themes.Default(primary_hue="blue", font=FONTS, font_mono=MONO)
    page = build(playground)
    page.queue(api_open=False)
    inner = gr.mount_gradio_app(
        FastAPI(openapi_url=None), page, path="", server_name=host, footer_links=[], show_error=True, ssr_mode=False,
        theme=theme, css_paths=CSS, mcp_server=False, pwa=False, run_history=False, enable_monitoring=False,
    )  # fmt: skip
    return guarded(inner, host)


def guarded(inner: App, host: str) -> App:
    """Return ``inner`` for a browser that asks nobody else and, at an address that only this machine reaches, for no
    other name of it, under which a page from elsewhere might ask."""
    names = {name.encode() for name in (*LOOPBACK, "[::1]")} if host in LOOPBACK else None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", POLICY)]
            await send(message)

        asked = dict(scope.get("headers", ())).get(b"host", b"")
        if scope["type"] == "http" and names is not None and asked.rpartition(b":")[0] not in names:
            await send({"type": "http.response.start", "status": 421, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"This page is at 127.0.0.1 alone.\n"})
        else:
            await inner(scope, receive, sent)

    return app


def run(app: App, listening: socket.socket, options: PlayOptions, watch: Watch) -> None:
    """Serve ``app`` until an interrupt, a KeyboardInterrupt, and say where it is once it is there."""
    import uvicorn

    url = url_of(listening, options.host)

    class Server(uvicorn.Server):
        stopped = False

        def handle_exit(self, sig: int, frame: Any) -> None:
            self.stopped = True
            super().handle_exit(sig, frame)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            watch.say(f"{url} (Ctrl-C ends it)")
            if options.open:
                webbrowser.open(url)

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=PATIENCE, lifespan="on")
    server = Server(config)
    server.run(sockets=[listening])
    if server.stopped:  # which a server that has nothing left to wait for does not say
        raise KeyboardInterrupt
