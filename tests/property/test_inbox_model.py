"""An inbox does what a few dictionaries do, through any sequence of calls, reopenings included."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from posthog_events.receiver.inbox import Entry, State, Task
from posthog_events.receiver.sqlite_inbox import SqliteInbox
from tests.helpers.inbox_entries import START

S = 1_000_000
"""Microseconds of a second; the model counts in whole ones, as the inbox does."""

DEDUP = 40 * S
IDS = ["1", "2", "3", "4", "", None]
HANDLERS = ("crm", "slack")
OPEN = (State.WAITING, State.RUNNING)


def at(micros: int) -> datetime:
    """Return a time of the model."""
    return START + timedelta(microseconds=micros)


@dataclass
class Job:
    """A task as the model knows it; times are microseconds after the start."""

    person: str
    state: State
    due: int
    attempt: int = 0
    error: str = ""
    owner: Task | None = None


@dataclass
class Model:
    """Entries by number, tasks by number and handler, and what is remembered."""

    entries: dict[int, Entry] = field(default_factory=dict)
    jobs: dict[tuple[int, str], Job] = field(default_factory=dict)
    seen: dict[tuple[str, ...], tuple[int, int]] = field(default_factory=dict)

    def keys(self, one: Entry) -> list[tuple[str, ...]]:
        delivery = [("delivery", one.delivery_id)] if one.delivery_id else []
        event = [("event", one.event_uuid, one.destination)] if one.event_uuid else []
        return [*delivery, *event]

    def earlier(self, one: Entry, now: int) -> set[int]:
        return {self.seen[key][0] for key in self.keys(one) if key in self.seen and self.seen[key][1] > now - DEDUP}

    def due(self, now: int, *, ordered: bool, handlers: list[str] | None) -> list[tuple[int, str]]:
        found = [
            (job.due, seq, handler)
            for (seq, handler), job in self.jobs.items()
            if job.state in OPEN and job.due <= now and (handlers is None or handler in handlers)
        ]
        if ordered:
            found = [(due, seq, handler) for due, seq, handler in found if not self.blocked(seq, handler)]
        return [(seq, handler) for _, seq, handler in sorted(found)]

    def blocked(self, seq: int, handler: str) -> bool:
        person = self.jobs[seq, handler].person
        return bool(person) and any(
            other < seq and name == handler and job.person == person and job.state in OPEN
            for (other, name), job in self.jobs.items()
        )


entries = st.builds(
    lambda delivery, uuid, destination, person, handlers: (delivery, uuid, destination, person, handlers),
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    st.sampled_from(["", "route"]),
    st.sampled_from(["ada", "bo", ""]),
    st.sampled_from([(), HANDLERS[:1], HANDLERS[1:], HANDLERS]),
)
some_handlers = st.sampled_from([None, [], ["crm"], ["slack", "other"], list(HANDLERS)])
one_handler = st.sampled_from([None, *HANDLERS])
seqs = st.lists(st.integers(0, 12), max_size=4, unique=True)


class InboxMachine(RuleBasedStateMachine):
    """The inbox in a file beside the model."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.model, self.now, self.claimed = Model(), 0, list[Task]()
        self.open()

    def open(self) -> None:
        self.inbox = SqliteInbox(Path(self.directory.name) / "inbox.db", dedup_for=timedelta(microseconds=DEDUP))

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.inbox.close()
            self.directory.cleanup()

    @rule(batch=st.lists(entries, max_size=4))
    def add(self, batch: list[tuple[str | None, str | None, str, str, tuple[str, ...]]]) -> None:
        given = [
            Entry(delivery, uuid, "e", person, b"x", at(self.now), destination=destination, handlers=handlers)
            for delivery, uuid, destination, person, handlers in batch
        ]
        for one, added in zip(given, self.inbox.add(given), strict=True):
            earlier = self.model.earlier(one, self.now)
            assert bool(earlier) == added.duplicate
            if earlier:
                assert added.seq in earlier
                continue
            assert added.seq > max(self.model.entries, default=0)
            self.model.entries[added.seq] = one
            self.model.seen |= dict.fromkeys(self.model.keys(one), (added.seq, self.now))
            for handler in one.handlers:
                self.model.jobs[added.seq, handler] = Job(one.distinct_id, State.WAITING, self.now)

    @rule(duration=st.sampled_from([1, S, 5 * S, 39 * S, 40 * S]))
    def wait(self, duration: int) -> None:
        self.now += duration

    @rule(limit=st.integers(1, 4), lease_s=st.sampled_from([1, 10]), ordered=st.booleans(), handlers=some_handlers)
    def claim(self, limit: int, lease_s: int, ordered: bool, handlers: list[str] | None) -> None:
        due = self.model.due(self.now, ordered=ordered, handlers=handlers)[:limit]

        tasks = self.inbox.claim(now=at(self.now), lease_s=lease_s, limit=limit, ordered=ordered, handlers=handlers)

        assert due == [(task.seq, task.handler) for task in tasks]
        for task in tasks:
            job = self.model.jobs[task.seq, task.handler]
            job.state, job.due, job.attempt, job.owner = State.RUNNING, self.now + lease_s * S, job.attempt + 1, task
            assert job.attempt == task.attempt
            assert self.model.entries[task.seq] == task.entry
        self.claimed += tasks

    @rule(which=st.integers(0, 30), retry_s=st.sampled_from([None, 0, 3]), success=st.booleans())
    def end(self, which: int, retry_s: int | None, success: bool) -> None:
        if not self.claimed:
            return
        task = self.claimed[which % len(self.claimed)]
        job = self.model.jobs.get((task.seq, task.handler))
        current = job is not None and job.state == State.RUNNING and job.owner == task
        if success:
            assert current == self.inbox.succeed(task, now=at(self.now))
        else:
            retry_at = None if retry_s is None else at(self.now + retry_s * S)
            assert current == self.inbox.fail(task, "no", retry_at=retry_at, now=at(self.now))
        if current and job is not None:
            job.error = "" if success else "no"
            job.due = self.now + (retry_s or 0) * S
            job.state = State.DONE if success else State.DEAD if retry_s is None else State.WAITING

    @rule(which=seqs, handler=one_handler, done=st.booleans())
    def retry(self, which: list[int], handler: str | None, done: bool) -> None:
        states = {State.WAITING, State.DEAD, State.DROPPED} | ({State.DONE} if done else set())
        jobs = self.jobs(which, handler, states)
        for job in jobs:
            job.state, job.due, job.attempt = State.WAITING, self.now, 0

        assert len(jobs) == self.inbox.retry(which, now=at(self.now), handler=handler, done=done)

    @rule(which=seqs, handler=one_handler)
    def drop(self, which: list[int], handler: str | None) -> None:
        jobs = self.jobs(which, handler, {State.WAITING, State.RUNNING, State.DEAD})
        for job in jobs:
            job.state = State.DROPPED

        assert len(jobs) == self.inbox.drop(which, now=at(self.now), handler=handler)

    @rule(age_s=st.sampled_from([0, 5, 60]))
    def prune(self, age_s: int) -> None:
        before = self.now - age_s * S
        over = {
            seq
            for seq, one in self.model.entries.items()
            if one.received_at < at(before)
            and all(self.model.jobs[seq, name].state in (State.DONE, State.DROPPED) for name in one.handlers)
        }
        self.model.entries = {seq: one for seq, one in self.model.entries.items() if seq not in over}
        self.model.jobs = {key: job for key, job in self.model.jobs.items() if key[0] not in over}
        self.model.seen = {key: value for key, value in self.model.seen.items() if value[1] > self.now - DEDUP}

        assert len(over) == self.inbox.prune(before=at(before), now=at(self.now))

    @rule()
    def reopen(self) -> None:
        self.inbox.close()
        self.open()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "inbox"):
            return
        records = {record.seq: record for record in self.inbox.list(limit=1_000)}
        assert self.model.entries == {seq: record.entry for seq, record in records.items()}
        assert sorted(records, reverse=True) == list(records)
        assert {
            (seq, handler): (job.state, job.attempt, job.error, at(job.due) if job.state in OPEN else None)
            for (seq, handler), job in self.model.jobs.items()
        } == {
            (seq, outcome.handler): (outcome.state, outcome.attempt, outcome.error, outcome.due_at)
            for seq, record in records.items()
            for outcome in record.outcomes
        }
        uuids = {one.event_uuid for one in self.model.entries.values() if one.destination == "" and one.event_uuid}
        uuids |= {key[1] for key in self.model.seen if key[0] == "event" and key[2] == ""}
        assert uuids == set(self.inbox.event_uuids("", since=at(-S), until=at(self.now + S)))
        assert len(self.model.entries) == self.inbox.counts().entries

    def jobs(self, which: list[int], handler: str | None, states: set[State]) -> list[Job]:
        return [
            job
            for (seq, name), job in self.model.jobs.items()
            if seq in which and (handler is None or handler == name) and job.state in states
        ]


TestInbox = InboxMachine.TestCase
TestInbox.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
