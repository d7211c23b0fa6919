"""Which promoted columns may stand for the JSON text."""

from __future__ import annotations

from posthog_events.clickhouse.store.layout import (
    ANY_KEY,
    MAX_LISTED,
    MAX_PROMOTED,
    parquet_source,
    promotable,
    readable_keys,
)
from posthog_events.clickhouse.store.manifest import DataFile
from posthog_events.clickhouse.store.promote import Promotion, promote


def file(*keys: str, rest: tuple[str, ...] = ()) -> DataFile:
    """A file with columns for these event keys, and these further keys."""
    return DataFile("f.parquet", 1, 1, 0, 0, event_keys=keys, event_rest=rest)


def test_a_file_in_which_a_key_does_not_occur_does_not_stand_in_the_way() -> None:
    """There, a missing column means a missing key, which reads as NULL."""
    assert ("a", "b") == readable_keys([file("a"), file("b", rest=("x.y",))], "properties")
    assert () == readable_keys([], "properties")


def test_a_key_that_a_file_holds_in_its_json_only_is_not_read_from_columns() -> None:
    """`b` is, or may be, in the rest of the second file, so its column would read NULL where a value is."""
    assert ("a",) == readable_keys([file("a", "b"), file("a", rest=("b",))], "properties")
    assert ("a",) == readable_keys([file("a", "b"), file("a", rest=(ANY_KEY,))], "properties")


def test_new_keys_are_promoted_until_the_cap() -> None:
    """Known keys stay; the most frequent new ones get what room is left; the others are listed."""
    assert (("a", "c"), Promotion(("c",), ())) == promote(["a"], ["c"])
    known = [f"k{number:03d}" for number in range(MAX_PROMOTED - 1)]
    assert ((*known, "often"), Promotion(("k001", "often"), ("rare",))) == promote(known, ["k001", "often", "rare"])


def test_too_many_keys_to_list_may_be_any_and_then_all_columns_are_written() -> None:
    """A document with thousands of keys does not swell the manifest."""
    _, promotion = promote(["a"], [f"x.{number}" for number in range(MAX_LISTED + 1)])
    assert Promotion(("a",), (ANY_KEY,)) == promotion


def test_keys_that_cannot_be_columns_stay_in_the_json() -> None:
    """Quotes, patterns, dots and control characters never get into a structure."""
    assert [True, True, True, False, False, False, False, False, False] == [
        promotable(key) for key in ("$a", "it's", "grö ße", "", 'a"b', "a`b", "a{1}", "a.b", "a\nb")
    ]
    assert (("x",), Promotion(("x",), ("a`b",))) == promote([], ["x", "a`b"])


def test_a_source_lists_exactly_its_files() -> None:
    """One file by its path, several by a list of names, none by an empty source."""
    from pathlib import Path

    columns = {"event": "String"}
    assert "null('event String')" == parquet_source(Path("/s"), [], columns)
    assert "file('/s/a.parquet', Parquet, 'event String')" == parquet_source(Path("/s"), ["a.parquet"], columns)
    assert "file('/s/{a,b}.parquet', Parquet, 'event String')" == parquet_source(
        Path("/s"), ["a.parquet", "b.parquet"], columns
    )
