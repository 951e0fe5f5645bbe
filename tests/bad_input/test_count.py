"""How many bad inputs there are: each of these is the input of a test that fails where it is not refused."""

from __future__ import annotations

from tests.bad_input import from_schema, test_files
from tests.bad_input.table import COMMAND_LINES, RULES, SETTINGS_FILES


def test_at_least_300_by_hand():
    """Distinct by content, whatever they are called."""
    given = {repr(arguments) for _, arguments, _ in COMMAND_LINES} | {repr(overrides) for _, overrides, _ in RULES}
    given |= {repr(content) for _, content, _ in SETTINGS_FILES}
    for table in (test_files.IDX, test_files.USER, test_files.TAR, test_files.PICKLES, test_files.SEMEION):
        given |= {repr(row[1:-1]) for row in table}
    assert len(given) >= 300


def test_at_least_3000_from_the_schema():
    found = {(one.setting.name, repr(one.value)) for at in from_schema.settings() for one in from_schema.mistakes(at)}
    assert len(found) >= 3000
