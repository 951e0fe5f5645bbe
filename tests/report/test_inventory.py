"""The lists of items, documents and errata are whole and consistent."""

from collections import Counter

from zeroloss.report import inventory

KINDS = {"F": "figure", "T": "table", "E": "equation", "TH": "theorem", "Q": "question"}
KINDS |= {"S": "schematic", "L": "list", "?": "unknown"}


def test_has_85_items_numbered_in_the_order_of_the_documents() -> None:
    items = list(inventory.items().values())
    assert [item.number for item in items] == list(range(1, 86))
    assert Counter(item.document for item in items) == {"000": 13, "001": 13, "002": 8, "003": 16, "004": 35}
    assert [item.document for item in items] == sorted(item.document for item in items)


def test_documents_are_those_of_the_items() -> None:
    documents = [one.document for one in inventory.documents()]
    assert documents == ["000", "001", "002", "003", "004"]
    assert {item.document for item in inventory.items().values()} == set(documents)


def test_id_tells_document_and_kind() -> None:
    for item in inventory.items().values():
        document, rest = item.item.split("-")
        assert document == item.document
        assert KINDS[rest.rstrip("0123456789")] == item.kind


def test_every_item_says_what_where_and_from_what_source_without_latex() -> None:
    for item in inventory.items().values():
        assert item.what and item.where and item.source
        assert not set("$\\") & set(item.what + item.where + item.source + item.why)
        assert "<" not in item.what.replace("d < n", "")


def test_only_what_is_unknown_or_only_named_is_not_computable() -> None:
    unserved = {item.item: item.unserved for item in inventory.items().values() if item.unserved != "planned"}
    assert unserved == dict.fromkeys(("002-?1", "004-?1", "004-?3", "004-L1"), "not-computable")
    assert all(inventory.items()[item].why for item in (*unserved, "004-?2", "004-F7"))


def test_errata_are_lettered_a_to_j() -> None:
    assert "".join(one.letter for one in inventory.errata()) == "abcdefghij"
