"""How things look on the page: formulas in running text, numbers to four digits, settings and tables as texts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from zeroloss.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

_GREEK = {
    "alpha": "α", "delta": "δ", "epsilon": "ε", "eta": "η", "kappa": "κ", "lambda": "λ",
    "rho": "ρ", "sigma": "σ", "theta": "θ",
}  # fmt: skip
_WORD = "[^\\W_⁰¹²³⁴⁵⁶⁷⁸⁹]+"
_RAISED = re.compile(rf"\^(?:\(([^()]{{2,}})\)|\{{([^{{}}]+)\}}|(\(\w\)|{_WORD}(?:\(\w\))?|∞))")
_LOWERED = re.compile(rf"(?:(?<!\w)(\w|max|min)|(‖|</sup>))_(?:\{{([^{{}}]+)\}}|({_WORD}))")
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class ShownTable:
    """A table ready to be shown: ``columns`` are (name, is it a number), ``rows`` hold texts."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SettingGroup:
    """A block of settings; ``rows`` are (key, value, meaning)."""

    name: str
    meaning: str
    rows: tuple[tuple[str, str, str], ...]


def mathematics(words: str) -> Markup:
    """Plain text with its formulas set as such: lambda_0, m^(-1/2), sqrt(m), >= become λ₀, m⁻¹ᐟ², √m, ≥ in HTML."""
    from markupsafe import Markup, escape

    shown = re.sub(r"(?<![A-Za-z])([a-z]+)(?![A-Za-z])", lambda found: _GREEK.get(found[1], found[1]), words)
    shown = re.sub(r"\bsqrt\((\w+)\)", r"√\1", shown).replace(">=", "≥").replace("<=", "≤")
    shown = shown.replace("H-infinity", "H^∞")
    shown = re.sub(r"(?<![\w)\]-])-(?=\d)", "−", shown)
    marked = _RAISED.sub(lambda found: f"<sup>{found[1] or found[2] or found[3]}</sup>", str(escape(shown)))
    marked = _LOWERED.sub(lambda found: f"{found[1] or found[2]}<sub>{found[3] or found[4]}</sub>", marked)
    return Markup(re.sub("[₀-₉]+", lambda found: f"<sub>{found[0].translate(_DIGITS)}</sub>", marked))  # noqa: S704  escaped above; tags are added after


def number(value: float) -> str:
    """A number to four significant digits: 0.1235, 12350, 1.5 × 10⁻⁵; an en dash where there is none."""
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)).replace("-", "−")
    if 1e4 <= abs(value) < 1e6:
        digits = f"{float(f'{value:.4g}'):.0f}"
    else:
        digits, _, exponent = f"{value:.4g}".partition("e")
        if exponent:
            digits += f" × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return digits.replace("-", "−")


def text(value: Any) -> str:
    """A setting, or a cell that is not a number column's, as a reader writes it; nothing is rounded."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}".replace("-", "−")
    if isinstance(value, list | tuple):
        return ", ".join(text(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text(one)}" for key, one in value.items())
    return str(value)


def read_csv(path: Path, **how: Any) -> pd.DataFrame:
    """A table of this run from its CSV file; empty cells are missing.

    Raises:
        UserError: it is missing or is not a CSV file.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""], **how)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again to build it") from None
    except (ValueError, OSError) as problem:
        again = "delete it and run the workflow again"
        raise UserError(f"{path} cannot be read ({type(problem).__name__}): {again}") from None


def read_texts(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file as texts; UserError also where one of ``columns`` is lacking."""
    table = read_csv(path, dtype=str).fillna("")
    if lacking := [name for name in columns if name not in table]:
        raise UserError(f"{path} lacks the column {lacking[0]}: delete it and run the workflow again")
    return [dict(zip(columns, row, strict=True)) for row in table[list(columns)].itertuples(index=False)]


def shown_table(table: pd.DataFrame) -> ShownTable:
    """The cells of a table as texts."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    numeric = [is_numeric_dtype(table[name]) and not is_bool_dtype(table[name]) for name in table]
    cells = []
    for name, counts in zip(table, numeric, strict=True):
        column = table[name].tolist()
        cells.append([number(one) if counts else "" if _missing(one) else text(one) for one in column])
    columns = tuple((str(name), counts) for name, counts in zip(table, numeric, strict=True))
    return ShownTable(columns, tuple(zip(*cells, strict=True)))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def setting_groups(settings: BaseModel, name: str = "") -> list[SettingGroup]:
    """The settings of a study, one group per nested block, each with what its author wrote about it."""
    rows, inner = [], []
    for key, field in type(settings).model_fields.items():
        value = getattr(settings, key)
        if isinstance(value, BaseModel):
            inner += setting_groups(value, f"{name}.{key}".lstrip("."))
        else:
            rows.append((key, text(value), field.description or ""))
    meaning = (type(settings).__doc__ or "").partition("\n")[0]
    return [*([SettingGroup(name, meaning, tuple(rows))] if rows else []), *inner]
