"""Calls with a time limit, in one thread that is kept: starting one for each call would cost more than the call."""

import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any


class TimedOut(Exception):
    """The call did not return in time; its thread is left behind."""


class Worker:
    """Runs calls one after the other; `limit` is the number of seconds that one may take."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._thread: threading.Thread | None = None
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._answers: queue.SimpleQueue = queue.SimpleQueue()

    def __call__(self, f: Callable[[], Any]) -> Any:
        """The result of `f()`; whatever it raises is raised here.

        Raises:
            TimedOut: it did not return in time.
        """
        if threading.current_thread() is self._thread:
            return f()
        if self._thread is None:
            self._start()
        self._tasks.put(f)
        try:
            result, error = self._answers.get(timeout=self.limit)
        except queue.Empty:
            self._abandon()
            raise TimedOut from None
        if error is not None:
            raise error
        return result

    def _start(self) -> None:
        tasks, answers = self._tasks, self._answers = queue.SimpleQueue(), queue.SimpleQueue()

        def work() -> None:
            while (f := tasks.get()) is not None:
                try:
                    answers.put((f(), None))
                except BaseException as error:
                    answers.put((None, error))

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def _abandon(self) -> None:
        """A loop in Python ends at this exception; what waits in C stays behind as a daemon."""
        assert self._thread is not None
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
        self._tasks.put(None)
        self._thread = None
