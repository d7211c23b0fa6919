"""What every inbox does, whichever database it is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from posthog_events.receiver.inbox import Added, Entry, Inbox, State, Task
from tests.helpers.inbox_entries import START, at, entry
from tests.helpers.inboxes import IMPLEMENTATIONS, Open, database, opener
from tests.helpers.postgres_server import Server


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """The database server of an implementation that needs one."""
    with database(request.param) as running:
        yield running


@pytest.fixture
def open_inbox(server: Server | None, tmp_path: Path) -> Iterator[Open]:
    """Open the same inbox, which was empty when the test began, once more."""
    with opener(server, tmp_path) as open_inbox:
        yield open_inbox


@pytest.fixture
def inbox(open_inbox: Open) -> Inbox:
    """An empty inbox."""
    return open_inbox()


def claim_one(inbox: Inbox, seconds: float = 0, **options: object) -> Task:
    (task,) = inbox.claim(now=at(seconds), lease_s=60, limit=10, **options)  # type: ignore[arg-type]
    return task


def seqs(tasks: tuple[Task, ...]) -> list[int]:
    return [task.seq for task in tasks]


def test_an_entry_comes_back_as_it_was(inbox: Inbox) -> None:
    """Every field survives, the body byte by byte, and text of any script."""
    given = entry(body=bytes(range(256)) * 10, distinct_id="Ærøskøbing 🧪", handlers=("crm", "slack"), destination="d")
    bare = Entry(None, None, "", "", b"", at(0.000001))

    first, second = inbox.add([given, bare])

    assert [False, False] == [first.duplicate, second.duplicate]
    record = inbox.get(first.seq)
    assert record is not None
    assert given == record.entry
    assert ["crm", "slack"] == [outcome.handler for outcome in record.outcomes]
    assert bare == getattr(inbox.get(second.seq), "entry", None)


def test_text_that_no_database_holds_does_not_refuse_a_delivery(inbox: Inbox) -> None:
    """NUL and lone surrogates are stored as U+FFFD, and two that differ only in them are two."""
    texts = ["a\0", "a\ud800", "a\ufffd"]

    added = inbox.add([entry(text, text, event=text, distinct_id=text) for text in texts])

    assert [False] * 3 == [one.duplicate for one in added]
    assert ["a\ufffd"] * 3 == [record.entry.event for record in inbox.list(event="a\0")]


@pytest.mark.parametrize(
    ("first", "again", "duplicate"),
    [
        (("d", "e", "x"), ("d", "e", "x"), True),
        (("d", "e", "x"), ("d", "other", "y"), True),
        (("d", "e", "x"), ("other", "e", "x"), True),
        (("d", "e", "x"), ("other", "e", "y"), False),
        (("d", "e", "x"), (None, "e", "x"), True),
        (("d", "e", "x"), ("e", "d", "x"), False),
        ((None, "e", "x"), (None, "e", "x"), True),
        (("d", None, "x"), ("d", None, "x"), True),
        ((None, None, "x"), (None, None, "x"), False),
        (("", "", "x"), ("", "", "x"), False),
        ((None, "ab", "c"), (None, "b", "ca"), False),
        (("D", "E", "x"), ("d", "e", "x"), False),
    ],
)
@pytest.mark.parametrize("how", ["one batch", "two batches", "after reopening", "another process"])
def test_deduplication(
    open_inbox: Open,
    first: tuple[str | None, str | None, str],
    again: tuple[str | None, str | None, str],
    duplicate: bool,
    how: str,
) -> None:
    """A delivery id or an event of the same destination that came before makes a duplicate; nothing else does."""
    entries = [
        Entry(delivery, uuid, "signup", "ada", b"", START, destination=destination, handlers=("crm",))
        for delivery, uuid, destination in (first, again)
    ]
    inbox = open_inbox()
    if how == "one batch":
        original, repeated = inbox.add(entries)
    else:
        (original,) = inbox.add(entries[:1])
        if how == "after reopening":
            inbox.close()
        if how != "two batches":
            inbox = open_inbox()
        (repeated,) = inbox.add(entries[1:])

    assert (False, duplicate) == (original.duplicate, repeated.duplicate)
    assert duplicate == (original.seq == repeated.seq)
    assert 2 - duplicate == inbox.counts().entries
    assert 2 - duplicate == len(inbox.claim(now=START, lease_s=60, limit=10))


def test_ids_are_remembered_for_the_stated_time(open_inbox: Open) -> None:
    """To the microsecond from the arrival of the one that was taken, not of its duplicates."""
    inbox = open_inbox(dedup_for=timedelta(seconds=10))
    first = inbox.add([entry("d", None)])[0]

    within = inbox.add([entry("d", None, received_at=at(9.999999))])[0]
    after = inbox.add([entry("d", None, received_at=at(10))])[0]
    again = inbox.add([entry("d", None, received_at=at(19))])[0]

    assert Added(first.seq, True) == within
    assert after.duplicate is False
    assert Added(after.seq, True) == again


def test_a_batch_is_all_or_nothing(inbox: Inbox) -> None:
    """An entry that cannot be stored takes its batch with it, and nobody else's."""
    bad = replace(entry(), headers={"x": object()})  # type: ignore[dict-item]

    with pytest.raises(TypeError):
        inbox.add([entry(), bad])

    assert 0 == inbox.counts().entries
    assert 1 == len(inbox.add([entry()]))


def test_adding_nothing_is_nothing(inbox: Inbox) -> None:
    """An empty batch has an empty answer."""
    assert () == inbox.add([])


def test_each_handler_gets_its_own_task(inbox: Inbox) -> None:
    """Outcomes are apart: one handler's failure is not the other's."""
    (added,) = inbox.add([entry(handlers=("crm", "slack"))])
    crm, slack = sorted(inbox.claim(now=START, lease_s=60, limit=10), key=lambda task: task.handler)

    assert inbox.succeed(crm, now=at(1))
    assert inbox.fail(slack, "no such channel", retry_at=None, now=at(2))

    record = inbox.get(added.seq)
    assert record is not None
    assert [("crm", State.DONE, "", at(1)), ("slack", State.DEAD, "no such channel", at(2))] == [
        (outcome.handler, outcome.state, outcome.error, outcome.changed_at) for outcome in record.outcomes
    ]
    assert [added.seq] == [record.seq for record in inbox.list(state=State.DEAD, handler="slack")]
    assert () == inbox.list(state=State.DEAD, handler="crm")


def test_a_claimed_task_is_nobody_elses_until_its_lease_ends(open_inbox: Open) -> None:
    """Then it comes again, as the next attempt, with the same idempotency key."""
    ours, theirs = open_inbox(), open_inbox()
    ours.add([entry()])
    first = ours.claim(now=START, lease_s=30, limit=10)[0]

    assert () == theirs.claim(now=at(29.999999), lease_s=30, limit=10)

    second = theirs.claim(now=at(30), lease_s=30, limit=10)[0]
    assert [1, 2] == [first.attempt, second.attempt]
    assert first.idempotency_key == second.idempotency_key


def test_a_late_owner_does_not_overwrite_a_newer_attempt(inbox: Inbox) -> None:
    """What an expired claim reports counts while nobody else has the task, and not afterwards."""
    inbox.add([entry()])
    late = claim_one(inbox)
    newer = claim_one(inbox, 61)

    assert inbox.succeed(late, now=at(62)) is False
    assert inbox.fail(late, "late", retry_at=None, now=at(62)) is False
    assert inbox.succeed(newer, now=at(200)) is True
    assert inbox.fail(newer, "twice", retry_at=None, now=at(201)) is False

    assert 1 == inbox.counts().tasks[State.DONE]


def test_a_stale_owner_is_not_mistaken_for_the_first_attempt_after_a_retry(inbox: Inbox) -> None:
    """Attempts start again at one, leases do not."""
    (added,) = inbox.add([entry()])
    late = claim_one(inbox)
    inbox.fail(claim_one(inbox, 61), "broken", retry_at=None, now=at(62))
    inbox.retry([added.seq], now=at(70))
    newest = claim_one(inbox, 70)

    assert 1 == late.attempt == newest.attempt
    assert inbox.succeed(late, now=at(71)) is False
    assert inbox.succeed(newest, now=at(71)) is True


def test_a_failed_task_waits_until_its_time(inbox: Inbox) -> None:
    """It is due at `retry_at` and not before, and keeps what went wrong."""
    (added,) = inbox.add([entry()])
    inbox.fail(claim_one(inbox), "timed out", retry_at=at(10), now=at(1))

    assert () == inbox.claim(now=at(9), lease_s=60, limit=10)
    assert 2 == claim_one(inbox, 10).attempt
    record = inbox.get(added.seq)
    assert record is not None
    assert (State.RUNNING, "timed out") == (record.outcomes[0].state, record.outcomes[0].error)


def test_an_error_is_kept_short_and_storable(inbox: Inbox) -> None:
    """Whatever an exception says, its outcome is recorded."""
    (added,) = inbox.add([entry()])

    assert inbox.fail(claim_one(inbox), "x\0\ud800" * 10_000, retry_at=None, now=START)

    record = inbox.get(added.seq)
    assert record is not None
    assert ("x\ufffd\ufffd" * 1_000)[:2_000] == record.outcomes[0].error


def test_tasks_are_claimed_longest_due_first(inbox: Inbox) -> None:
    """New ones do not overtake one whose retry was due before they came."""
    early, late = inbox.add([entry(), entry(received_at=at(5))])
    inbox.fail(claim_one(inbox), "not now", retry_at=at(7), now=at(1))
    (latest,) = inbox.add([entry(received_at=at(8))])

    assert [late.seq, early.seq] == seqs(inbox.claim(now=at(9), lease_s=60, limit=2))
    assert [latest.seq] == seqs(inbox.claim(now=at(9), lease_s=60, limit=2))


def test_claims_can_be_for_some_handlers(inbox: Inbox) -> None:
    """A worker that does not know a handler leaves its tasks to others."""
    inbox.add([entry(handlers=("crm", "slack"))])

    assert () == inbox.claim(now=START, lease_s=60, limit=10, handlers=[])
    assert () == inbox.claim(now=START, lease_s=60, limit=10, handlers=["other"])
    assert ["slack"] == [task.handler for task in inbox.claim(now=START, lease_s=60, limit=9, handlers=["slack", "x"])]
    assert "crm" == claim_one(inbox).handler


def test_order_holds_per_person_and_handler(inbox: Inbox) -> None:
    """A later entry waits for the earlier one's end, also through retries, and for nobody else's."""
    first, second, other = inbox.add([entry(handlers=("crm", "slack")), entry(), entry(distinct_id="grace")])
    tasks = inbox.claim(now=START, lease_s=60, limit=10, ordered=True)

    assert {(first.seq, "crm"), (first.seq, "slack"), (other.seq, "crm")} == {
        (task.seq, task.handler) for task in tasks
    }

    crm = next(task for task in tasks if (task.seq, task.handler) == (first.seq, "crm"))
    inbox.fail(crm, "not now", retry_at=at(100), now=at(1))
    assert () == inbox.claim(now=at(50), lease_s=60, limit=10, ordered=True)
    assert second.seq not in seqs(inbox.claim(now=at(99), lease_s=600, limit=10, ordered=True))
    again = claim_one(inbox, 100, ordered=True)
    assert first.seq == again.seq
    inbox.fail(again, "gave up", retry_at=None, now=at(101))
    assert second.seq == claim_one(inbox, 102, ordered=True).seq


def test_entries_of_nobody_are_in_no_order(inbox: Inbox) -> None:
    """Without a distinct_id there is no person to keep order for."""
    inbox.add([entry(distinct_id=""), entry(distinct_id="")])

    assert 2 == len(inbox.claim(now=START, lease_s=60, limit=10, ordered=True))


def test_an_entry_without_handlers_is_kept(inbox: Inbox) -> None:
    """It is there to be listed, and has nothing to be done."""
    (added,) = inbox.add([entry(handlers=())])

    assert () == inbox.claim(now=START, lease_s=60, limit=10)
    assert () == getattr(inbox.get(added.seq), "outcomes", None)


def test_retry_brings_back_the_dead_the_dropped_and_the_waiting(inbox: Inbox) -> None:
    """And what is done only when that is asked for; what runs is left."""
    added = inbox.add([entry() for _ in range(5)])
    dead, waiting, done, running = inbox.claim(now=START, lease_s=60, limit=4)
    inbox.fail(dead, "x", retry_at=None, now=START)
    inbox.fail(waiting, "x", retry_at=at(1_000), now=START)
    inbox.succeed(done, now=START)
    inbox.drop([added[4].seq], now=START)
    every = [one.seq for one in added]

    assert 3 == inbox.retry(every, now=at(1))
    assert [dead.seq, waiting.seq, added[4].seq] == sorted(seqs(inbox.claim(now=at(1), lease_s=60, limit=9)))
    assert 1 == inbox.retry(every, now=at(1), done=True)
    again = claim_one(inbox, 1)
    assert (done.seq, 1) == (again.seq, again.attempt)
    assert inbox.succeed(running, now=at(2)) is True


def test_retry_and_drop_can_be_for_one_handler(inbox: Inbox) -> None:
    """The others' outcomes stay."""
    (added,) = inbox.add([entry(handlers=("crm", "slack"))])

    assert 1 == inbox.drop([added.seq], now=START, handler="crm")
    assert "slack" == claim_one(inbox).handler
    assert 0 == inbox.retry([added.seq], now=START, handler="slack")
    assert 1 == inbox.retry([added.seq], now=START, handler="crm")
    assert "crm" == claim_one(inbox).handler


def test_dropping_ignores_the_end_of_what_runs(inbox: Inbox) -> None:
    """It stays dropped, and does not come again."""
    (added,) = inbox.add([entry()])
    task = claim_one(inbox)

    assert 1 == inbox.drop([added.seq], now=at(1))
    assert inbox.succeed(task, now=at(2)) is False
    assert () == inbox.claim(now=at(1_000), lease_s=60, limit=10)
    assert 1 == inbox.counts().tasks[State.DROPPED]


def test_list_is_newest_first_and_in_pages(inbox: Inbox) -> None:
    """Each page goes on before the last seq of the one before, under the same conditions."""
    inbox.add(
        [entry(event="signup", destination="a"), entry(event="purchase"), entry(event="signup", distinct_id="bo")]
    )
    newest, _, oldest = inbox.list()

    assert [newest, oldest] == list(inbox.list(event="signup"))
    assert [newest] == list(inbox.list(event="signup", limit=1))
    assert [oldest] == list(inbox.list(event="signup", limit=1, before=newest.seq))
    assert [newest] == list(inbox.list(distinct_id="bo"))
    assert [oldest] == list(inbox.list(destination="a"))
    assert () == inbox.list(state=State.DEAD)


def test_numbers_that_cannot_be_are_not_there(inbox: Inbox) -> None:
    """However large: they come from people at a terminal."""
    assert None is inbox.get(10**30)
    assert None is inbox.get(-1)
    assert 0 == inbox.retry([10**30], now=START)
    assert 0 == inbox.drop([10**30], now=START)


def test_counts(inbox: Inbox) -> None:
    """Entries, tasks by state, and since when the longest due one is due."""
    assert None is inbox.counts().due_since
    inbox.add([entry(handlers=("a", "b"), received_at=at(3)), entry(received_at=at(4))])
    inbox.succeed(inbox.claim(now=at(5), lease_s=60, limit=1)[0], now=at(5))

    counts = inbox.counts()

    assert (2, at(3)) == (counts.entries, counts.due_since)
    assert {"waiting": 2, "running": 0, "done": 1, "dead": 0, "dropped": 0} == counts.tasks


def test_prune_deletes_only_what_is_over(open_inbox: Open) -> None:
    """Old entries with everything done or dropped go; dead ones and those that still run stay; ids stay known."""
    inbox = open_inbox(dedup_for=timedelta(seconds=100))
    added = inbox.add([entry("d", "e"), entry(), entry(), entry(handlers=("a", "b")), entry(handlers=())])
    done, dead, _, half = inbox.claim(now=START, lease_s=60, limit=4)
    inbox.succeed(done, now=START)
    inbox.fail(dead, "x", retry_at=None, now=START)
    inbox.succeed(half, now=START)
    inbox.drop([added[2].seq], now=START)
    inbox.add([entry(handlers=(), received_at=at(50))])

    assert 3 == inbox.prune(before=at(50), now=at(60))

    assert [added[3].seq, added[1].seq] == [record.seq for record in inbox.list()][1:]
    assert inbox.add([entry("d", "other", received_at=at(99))])[0].duplicate
    assert ["e"] == [uuid for uuid in inbox.event_uuids("", since=START, until=at(1)) if uuid == "e"]

    inbox.prune(before=START, now=at(100))
    assert "e" not in set(inbox.event_uuids("", since=START, until=at(1)))
    assert not inbox.add([entry("d", "e", received_at=at(99))])[0].duplicate


def test_prune_deletes_more_than_it_does_at_once(inbox: Inbox) -> None:
    """It works in pieces, until nothing is left."""
    inbox.add([entry(handlers=()) for _ in range(1_900)])

    assert 1_900 == inbox.prune(before=at(1), now=at(1))
    assert 0 == inbox.counts().entries


def test_event_uuids_are_those_that_arrived_in_a_window(inbox: Inbox) -> None:
    """Of one destination, from `since` to before `until`, each once."""
    inbox.add(
        [
            entry(event_uuid="early", destination="d", received_at=at(9)),
            entry(event_uuid="first", destination="d", received_at=at(10)),
            entry(event_uuid=None, destination="d", received_at=at(11)),
            entry(event_uuid="other", destination="x", received_at=at(11)),
            entry(event_uuid="last", destination="d", received_at=at(19)),
            entry(event_uuid="late", destination="d", received_at=at(20)),
        ]
    )

    assert ["first", "last"] == sorted(inbox.event_uuids("d", since=at(10), until=at(20)))


@pytest.mark.parametrize(
    ("delivery_id", "event_uuid", "key"),
    [("d", "e", "d:crm"), (None, "e", "e:route:crm"), (None, None, "inbox-7:crm")],
)
def test_idempotency_key(delivery_id: str | None, event_uuid: str | None, key: str) -> None:
    """It is made of what is known of the delivery, so that another task cannot have it."""
    given = entry(delivery_id, event_uuid, destination="route")

    assert key == Task(7, "crm", 1, 1, given).idempotency_key


@pytest.mark.parametrize("wrong", [{"received_at": START.replace(tzinfo=None)}, {"handlers": ("a", "a")}])
def test_an_entry_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """A programmer's mistake is seen where it is made."""
    with pytest.raises(ValueError, match=r"no time zone|twice"):
        replace(entry(), **wrong)  # type: ignore[arg-type]
