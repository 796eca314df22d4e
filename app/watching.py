"""Starts a thread that calls a function at intervals for as long as the process lives."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


def watch(name: str, look: Callable[[], object], *, interval_seconds: float) -> None:
    """Start the thread. An error in one call is logged, and the calls continue."""

    def run() -> None:
        while True:
            time.sleep(interval_seconds)
            try:
                look()
            except Exception:
                logger.exception("%s failed once", name)

    threading.Thread(target=run, name=name, daemon=True).start()
