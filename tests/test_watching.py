import logging
from threading import Event

from app.watching import watch


class TestWatch:
    def test_goes_on_after_a_failed_look(self, caplog):
        looked_again, failures = Event(), iter([LookupError("on purpose")])

        def look():
            if failure := next(failures, None):
                raise failure
            looked_again.set()
            # The thread is no longer needed.
            Event().wait()

        with caplog.at_level(logging.ERROR):
            watch("test", look, interval_seconds=0.001)

            assert looked_again.wait(10)
        assert "test failed once" in caplog.text
