"""The count of faults on purpose and of what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What the whole session did and what it came to."""

    injected: Counter = field(default_factory=Counter)
    hit: Counter = field(default_factory=Counter)
    lost: int = 0
    wrong: int = 0

    def since(self, before: Tally) -> dict:
        """What was added, as JSON values."""
        parts = {name: dict(getattr(self, name) - getattr(before, name)) for name in ("injected", "hit")}
        return {**parts, "lost": self.lost - before.lost, "wrong": self.wrong - before.wrong}

    def add(self, more: dict) -> None:
        self.injected.update(more["injected"])
        self.hit.update(more["hit"])
        self.lost += more["lost"]
        self.wrong += more["wrong"]

    def line(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.injected.items())
        hit = ", ".join(f"{step} {count}" for step, count in sorted(self.hit.items()))
        counts = (
            f"faults injected: {self.injected.total()} ({kinds}), runs lost: {self.lost}, wrong results: {self.wrong}"
        )
        return f"{counts}; running when killed: {hit}" if hit else counts
