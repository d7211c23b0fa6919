"""One step ahead, in order, and never running on after the block was left."""

from __future__ import annotations

import threading

import pytest

from posthog_events.clickhouse.store.prefetch import prefetch


def test_results_come_in_order() -> None:
    """All of them, each once."""
    with prefetch(lambda item: item * 2, iter(range(1, 6)), stop=lambda: None) as results:
        assert [2, 4, 6, 8, 10] == list(results)


def test_at_most_one_item_is_prepared_ahead() -> None:
    """While the first is used, the second is prepared, and the third has to wait."""
    prepared: list[int] = []
    second = threading.Event()

    def prepare(item: int) -> int:
        prepared.append(item)
        if item == 2:
            second.set()
        return item

    with prefetch(prepare, iter((1, 2, 3)), stop=lambda: None) as results:
        assert 1 == next(results)
        assert second.wait(5)
        assert [1, 2] == prepared
        assert [2, 3] == list(results)


def test_an_error_while_preparing_is_raised_where_the_result_is_used() -> None:
    """After the results before it."""
    with pytest.raises(ZeroDivisionError), prefetch(lambda item: 1 // item, iter((1, 0)), stop=lambda: None) as results:
        list(results)


def test_leaving_early_stops_what_runs() -> None:
    """`stop` ends the step that is running; the thread is gone when the block is left."""
    stopped, started = threading.Event(), threading.Event()

    def prepare(item: int) -> int:
        if item == 2:
            started.set()
            assert stopped.wait(5)
        return item

    before = threading.active_count()

    def use() -> None:
        with prefetch(prepare, iter((1, 2, 3)), stop=stopped.set) as results:
            assert 1 == next(results)
            assert started.wait(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert stopped.is_set()
    assert before == threading.active_count()
