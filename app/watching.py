"""A thread that looks at something again and again, for as long as its process lives."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


def watch(name: str, look: Callable[[], object], *, interval_seconds: float) -> None:
    """Start it. An error in one look is logged and keeps nobody from the next."""

    def run() -> None:
        while True:
            time.sleep(interval_seconds)
            try:
                look()
            except Exception:
                logger.exception("a look of %s failed", name)

    threading.Thread(target=run, name=name, daemon=True).start()
