"""`edgetl review`."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Where on 127.0.0.1; 0 takes a free one.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Say where it is as one JSON line.")
def review(folder: Path, port: int, as_json: bool) -> None:
    """Label the pictures that a line kept, in a browser on this machine, the most instructive first.

    Every answer is saved as it is given, in DIR/labels.jsonl; Ctrl-C ends.
    """
    from edgetl.runtime.page.server import Server
    from edgetl.runtime.page.settings import PageSettings
    from edgetl.trainer.review.app import App

    app = App(folder)
    server = Server(app.application(), PageSettings(port=port))
    click.echo(json.dumps({"address": server.address}) if as_json else server.address)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.close()
