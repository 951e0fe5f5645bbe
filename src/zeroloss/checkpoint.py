"""State of long work, so that a killed job goes on where it was and ends with the same bytes.

A checkpoint is an .npz beside the results, with the key of the step it belongs to: one of other settings, data or code
is never taken up. Arrays only; nothing in it is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zeroloss import storage
from zeroloss.errors import UserError

SECONDS_BETWEEN = 60.0
# 128 + SIGTERM: what a shell reports of a process that the signal ended
TERMINATED = 143


class Checkpoints:
    """The folder where one job keeps its states, one file for each part of its work.

    Args:
        folder: made when needed.
        key: of the job's order.
        seconds: least time between two saves of a part.
    """

    def __init__(self, folder: Path, key: str, seconds: float = SECONDS_BETWEEN) -> None:
        self.folder, self.key, self.seconds = folder, key, seconds
        self.asked_to_end = False

    def part(self, name: str) -> Checkpoint:
        """Where the part ``name`` (a file stem) keeps its state."""
        return Checkpoint(self, name)

    def remove(self) -> None:
        """The work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def heeding_sigterm(self) -> Iterator[None]:
        """Within it SIGTERM (a cluster's time limit) makes the next state due instead of ending the process at once."""

        def ask(number: int, frame: Any) -> None:
            self.asked_to_end = True

        before = signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


class Checkpoint:
    """The state of one part of a job; made by :meth:`Checkpoints.part`."""

    def __init__(self, whole: Checkpoints, name: str) -> None:
        self._whole, self._path, self._last = whole, whole.folder / f"{name}.npz", time.monotonic()

    def load(self) -> dict[str, np.ndarray] | None:
        """What was saved last for this key; None where there is nothing, or only something stale or damaged."""
        if not self._path.is_file():
            return None
        try:
            arrays, provenance = storage.read_arrays(self._path)
        except UserError:
            print(f"{self._path} is damaged: starting this part from its beginning", file=sys.stderr)
            return None
        return arrays if provenance.get("key") == self._whole.key else None

    def due(self) -> bool:
        """Whether it is time to save; always so once the process has been asked to end."""
        return self._whole.asked_to_end or time.monotonic() - self._last >= self._whole.seconds

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep this state; ends the process where it has been asked to."""
        # another process that computes the same cell (its workflow was killed, it was not) may end and remove the folder
        with contextlib.suppress(FileNotFoundError):
            storage.write_arrays(self._path, arrays, {"key": self._whole.key})
        self._last = time.monotonic()
        if self._whole.asked_to_end:
            print(f"asked to end: state kept in {self._path}", file=sys.stderr)
            raise SystemExit(TERMINATED)


class KeptRows:
    """Rows of the parts of a cell, kept as the parts end: a cell that is taken up does no finished part again.

    Args:
        checkpoints: of the cell; nothing is kept where there are none.
    """

    def __init__(self, checkpoints: Checkpoints | None) -> None:
        self._state = None if checkpoints is None else checkpoints.part("rows")
        kept = None if self._state is None else self._state.load()
        self._parts: dict[str, list[dict[str, Any]]] = {} if kept is None else json.loads(str(kept["parts"]))

    def __contains__(self, part: str) -> bool:
        return part in self._parts

    def of(self, part: str, compute: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The rows of a part: kept ones, or what ``compute`` gives. Numbers, text, booleans, None; the same either way."""
        if part not in self._parts:
            # through text also where nothing was interrupted, so that types do not depend on that
            self._parts[part] = json.loads(json.dumps(compute(), default=lambda number: number.item()))
            if self._state is not None and self._state.due():
                self._state.save({"parts": np.array(json.dumps(self._parts))})
        return self._parts[part]
