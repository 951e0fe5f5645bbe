"""How long work tells where it stands: a bar on a terminal, a sparse line in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts steps of one piece of work and shows them on stderr.

    Args:
        total: number of steps.
        title: what is being done, e.g. ``"du2018a sphere_as_published_seed0"``.
        quiet: show nothing (tests, benchmarks).
    """

    def __init__(self, total: int, title: str, quiet: bool = False) -> None:
        self.total, self.title, self.done = max(total, 1), title, 0
        self._started = self._last_line = time.monotonic()
        self._quiet = quiet
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            try:
                from rich.console import Console
                from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
                from rich.progress import Progress as Bar
            except ImportError:  # a bare GPU machine may lack it: lines serve as well
                return
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} steps {task.fields[state]}"),
                TimeRemainingColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(title, total=self.total, state="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self._quiet and kind is None:
            seconds = time.monotonic() - self._started
            print(f"{self.title}: {self.done} steps in {seconds:.1f} s", file=sys.stderr, flush=True)

    def advance(self, steps: int = 1, state: str = "") -> None:
        """Count ``steps`` more; ``state`` is a short note such as ``"width 500, loss 0.12"``."""
        self.done += steps
        if self._bar is not None:
            self._bar.update(self._task, advance=steps, state=state)
            return
        now = time.monotonic()
        if self._quiet or now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        left = (now - self._started) / self.done * (self.total - self.done)
        print(
            f"{self.title}: {self.done}/{self.total} steps, about {left:.0f} s left {state}",
            file=sys.stderr,
            flush=True,
        )
