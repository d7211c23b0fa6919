"""ClickHouse SQL that turns a part of a file into rows of one shape, each with the reason if it is no event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from posthog_events.clickhouse.quoting import identifier, string
from posthog_events.clickhouse.store.detect import Format, Plan
from posthog_events.clickhouse.store.readers import LINE, Part

__all__ = ["EARLIEST", "STAGE_SETTINGS", "stage_sql", "time_sql"]

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
"""Times before it come from clocks that were never set."""

AHEAD = timedelta(days=1)
"""How far after the import a time may lie: zones are confused by up to 14 h, clocks drift."""

STAGE_SETTINGS: Mapping[str, str | int] = {
    # A slash needs no backslash in JSON, and text without backslashes takes the fast path of an import.
    "output_format_json_escape_forward_slashes": 0,
    "output_format_json_quote_64bit_integers": 0,
    "date_time_output_format": "iso",
}

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d+)?)?"
_ISO = rf"^\d{{4}}-\d{{2}}-\d{{2}}([T ]{_CLOCK}( ?(Z|UTC|[+-]\d{{2}}(:?\d{{2}})?))?)?$"
_COMPACT_DAY = r"^(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])$"
_EPOCH = r"^\d{9,19}(\.\d+)?$"

_TEXTS = {
    "id_text": "uuid",
    "event": "event",
    "time_text": "timestamp",
    "distinct_id": "distinct_id",
    "person_text": "person_id",
    "person_created_text": "person_created_at",
    "created_text": "created_at",
    "elements_chain": "elements_chain",
    "session": "$session_id",
    "window_id": "$window_id",
    **{f"group_{index}": f"$group_{index}" for index in range(5)},
}
"""Column of the uniform row to the role that fills it."""

PLAIN_TEST = "position(properties, '\\\\') = 0 AND position(person_properties, '\\\\') = 0"
"""Whether no text in the documents needs unescaping; see `promote.py`."""

Roles = Callable[[str], str]
"""Role to the SQL of its text; `''` where the file has none."""


def time_sql(text: str, zone: str) -> str:
    """Return SQL for the instant that a text names, NULL when it names none.

    ISO 8601 dates and times, and Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by size.
    """
    amount = f"toDecimal128OrNull({text}, 9)"
    digits = f"position(concat({text}, '.'), '.') - 1"
    micros = (
        f"multiIf({digits} <= 11, {amount} * 1000000, {digits} <= 14, {amount} * 1000, "
        f"{digits} <= 17, {amount}, {amount} / 1000)"
    )
    return (
        f"multiIf(match({text}, {string(_ISO)}) OR match({text}, {string(_COMPACT_DAY)}), "
        f"toTimeZone(parseDateTime64BestEffortOrNull({text}, 6, {string(zone)}), 'UTC'), "
        f"match({text}, {string(_EPOCH)}), fromUnixTimestamp64Micro(toInt64(ifNull({micros}, 0)), 'UTC'), NULL)"
    )


def stage_sql(plan: Plan, part: Part, cells: Mapping[str, str], *, now: datetime) -> str:
    """Return a SELECT of the uniform rows of a part.

    Args:
        cells: What a table's columns hold, see `cells.py`.
        now: Time after which events lie in the future.
    """
    tabular = plan.sample.format in (Format.CSV, Format.PARQUET)
    texts = _table_texts(plan, part, cells) if tabular else _json_texts(plan, part)
    created = time_sql("created_text", plan.timezone) if "created_at" in plan.roles else "NULL"
    born = time_sql("person_created_text", plan.timezone) if "person_created_at" in plan.roles else "NULL"
    parsed = f"SELECT *, {time_sql('time_text', plan.timezone)} AS time FROM ({texts})"
    latest, earliest = (f"toDateTime64({at.timestamp():.0f}, 6, 'UTC')" for at in (now + AHEAD, EARLIEST))
    reason = (
        "multiIf(well_formed = 0, 'not a JSON object', event = '', 'no event name', "
        "distinct_id = '', 'no distinct id', time_text = '', 'no timestamp', "
        "isNull(time), concat('timestamp ', time_text, ' is neither ISO 8601 nor Unix time'), "
        f"time > {latest}, concat('timestamp ', time_text, ' lies in the future'), "
        f"time < {earliest}, concat('timestamp ', time_text, ' lies before {EARLIEST.year}'), "
        "NOT startsWith(properties, '{'), 'properties are not a JSON object', "
        "NOT startsWith(person_properties, '{'), 'person properties are not a JSON object', '')"
    )
    content = (
        "reinterpretAsUUID(sipHash128(event, toUnixTimestamp64Micro(timestamp), distinct_id, "
        "arraySort(JSONExtractKeysAndValuesRaw(properties))))"
    )
    # A text that is no UUID, such as an order number, names its event all the same.
    named = "ifNull(toUUIDOrNull(id_text), reinterpretAsUUID(sipHash128('uuid', id_text)))"
    identity = content if "uuid" not in plan.roles else f"if(id_text = '', {content}, {named})"
    checked = f"SELECT *, {reason} AS reason, ifNull(time, toDateTime64(0, 6, 'UTC')) AS timestamp FROM ({parsed})"
    plain = ", ".join(name for name in _TEXTS if not name.endswith("_text"))
    return (
        f"SELECT rowNumberInAllBlocks() AS row, line, {plain}, timestamp, {identity} AS uuid, id_text = '' AS derived, "
        "ifNull(toUUIDOrNull(person_text), reinterpretAsUUID(sipHash128('person', distinct_id))) AS person_id, "
        f"ifNull({born}, toDateTime64(0, 6, 'UTC')) AS person_created_at, ifNull({created}, timestamp) AS created_at, "
        f"properties, person_properties, {PLAIN_TEST} AS plain, reason, if(reason = '', '', row_text) AS content "
        f"FROM ({checked})"
    )


def _uniform(of: Roles, *, properties: str, person: str, user: str, well_formed: str, row_text: str, rows: str) -> str:
    """Select the uniform texts from `rows`; documents are completed here, the same for every format."""
    set_once, own_set = (f"if({of(role)} IN ('', 'null'), '{{}}', {of(role)})" for role in ("$set_once", "$set"))
    merged = "''"
    fields = {name: of(role) for name, role in _TEXTS.items()} | {"distinct_id": user}
    completed = "given"
    if of("$set") != "''" or of("$set_once") != "''":
        merged = f"nullIf(JSONMergePatch({set_once}, {own_set}), '{{}}')"
        # Capture takes `$set` beside the properties too; PostHog keeps it among them.
        inner = "substring(given, 2, length(given) - 2), if(given = '{}', '', ',')"
        added = f"concat('{{', {inner}, '\"$set\":', {own_set}, '}}')"
        completed = f"if({own_set} = '{{}}' OR JSONHas(given, '$set'), given, {added})"
    # Without the person's properties, what the event itself sets on the person is all there is to know.
    inside = "if(position(given, '\"$set\"') > 0, JSONExtractRaw(given, '$set'), '')"
    known = ", ".join(f"nullIf(nullIf({text}, ''), 'null')" for text in (person, merged, inside) if text != "''")
    columns = ", ".join(f"{text} AS {name}" for name, text in fields.items())
    return (
        f"SELECT line, {columns}, {completed} AS properties, coalesce({known}, '{{}}') AS person_properties, "
        f"{well_formed} AS well_formed, {row_text} AS row_text "
        f"FROM (SELECT *, if({properties} IN ('', 'null'), '{{}}', {properties}) AS given FROM ({rows}))"
    )


def _normalised(text: str) -> str:
    """SQL that checks a document given as text, and writes it as ClickHouse does; `invalid` when it is no JSON."""
    return f"if({text} = '', '', if(isValidJSON({text}), JSONExtractRaw({text}), 'invalid'))"


def _json_texts(plan: Plan, part: Part) -> str:
    sample = plan.sample
    names = list(dict.fromkeys(plan.roles.values()))
    embedded = plan.nested and "person" in sample.columns and "person_properties" not in plan.roles
    if embedded:
        names.append("person")
    shape = "Tuple(" + ", ".join(f"{identifier(name)} Nullable(String)" for name in names) + ")"

    def field(name: str) -> str:
        return f"ifNull(tupleElement(fields, {names.index(name) + 1}), '')"

    def of(role: str) -> str:
        if role == "event" and plan.event_name is not None:
            return string(plan.event_name)
        return field(plan.roles[role]) if role in plan.roles else "''"

    def document(role: str) -> str:
        """An object comes out of the parser checked and normalised; a text that holds JSON does not."""
        as_text = any(isinstance(row.get(plan.roles.get(role, "")), str) for row in sample.rows)
        return _normalised(of(role)) if as_text else of(role)

    if plan.nested:
        properties = document("properties")
    else:
        used = ", ".join(string(name) for name in plan.roles.values())
        kept = f"arrayFilter(kv -> kv.1 NOT IN ({used}), JSONExtractKeysAndValuesRaw(object))"
        pairs = f"arrayMap(kv -> concat(toJSONString(kv.1), ':', kv.2), {kept})"
        properties = f"concat('{{', arrayStringConcat({pairs}, ','), '}}')"
    # Capture allows the distinct id among the properties.
    inside = "JSONExtractString(given, 'distinct_id')" if plan.nested else "''"
    user = f"if({of('distinct_id')} != '', {of('distinct_id')}, {inside})"
    person = f"JSONExtractRaw({field('person')}, 'properties')" if embedded else document("person_properties")
    source = f"file({string(str(part.path))}, LineAsString, 'text String')"
    item = "text"
    if sample.envelope:
        # An empty page holds nothing; a line that is no page is judged as it stands.
        name = string(sample.envelope)
        item = f"arrayJoin(if(JSONHas(text, {name}), JSONExtractArrayRaw(text, {name}), [text]))"
    line = f"toUInt64({part.first_line}) + _row_number AS line"
    lines = f"SELECT {line}, {item} AS object FROM {source} WHERE match(text, '\\\\S')"
    return _uniform(
        of,
        properties=properties,
        person=person,
        user=user,
        # Only a row that lacks something is worth a second parse for the right reason.
        well_formed=f"if({user} != '' AND {of('timestamp')} != '' AND match(object, '^\\\\s*[{{]'), 1, "
        "match(object, '^\\\\s*[{]') AND isValidJSON(object))",
        row_text="object",
        rows=f"SELECT *, JSONExtract(object, {string(shape)}) AS fields FROM ({lines})",
    )


def _table_texts(plan: Plan, part: Part, cells: Mapping[str, str]) -> str:
    csv = plan.sample.format is Format.CSV
    position = {name: f"c{index}" for index, name in enumerate(plan.sample.columns)}

    def of(role: str) -> str:
        if role == "event" and plan.event_name is not None:
            return string(plan.event_name)
        if role not in plan.roles:
            return "''"
        name = plan.roles[role]
        return f"trimBoth({position[name]})" if csv else _cell_text(position[name], cells[name])

    def value(name: str) -> str:
        """SQL of a cell as JSON; empty where there is no value."""
        column, kind = position[name], cells[name]
        if not csv:
            return f"ifNull(toJSONString({f'toString({column})' if kind == 'local' else column}), '')"
        if kind == "text":
            return f"if({column} = '', '', toJSONString({column}))"
        return column if kind == "number" else f"lower({column})"

    if plan.nested:
        properties = _normalised(of("properties"))
    else:
        pairs = (f"[{string(json.dumps(name, ensure_ascii=False))}, {value(name)}]" for name in plan.property_columns)
        filled = f"arrayFilter(pair -> pair[2] NOT IN ('', 'null'), CAST([{', '.join(pairs)}], 'Array(Array(String))'))"
        joined = f"arrayStringConcat(arrayMap(pair -> concat(pair[1], ':', pair[2]), {filled}), ',')"
        properties = f"concat('{{', {joined}, '}}')"
    line = identifier(LINE) if csv else f"toUInt64({part.first_line}) + _row_number"
    # Parquet written by us marks every column as nullable, though a CSV cell never is.
    cell = "ifNull({}, '') AS {}" if csv else "{} AS {}"
    columns = ", ".join(cell.format(identifier(name), column) for name, column in position.items())
    texts = ", ".join(f"{string(name)}, ifNull(toString({column}), '')" for name, column in position.items())
    return _uniform(
        of,
        properties=properties,
        person=_normalised(of("person_properties")) if "person_properties" in plan.roles else "''",
        user=of("distinct_id"),
        well_formed="1",
        row_text=f"toJSONString(map({texts}))",
        rows=f"SELECT {line} AS line, {columns} FROM file({string(str(part.path))}, Parquet)",
    )


def _cell_text(column: str, kind: str) -> str:
    """SQL of a Parquet cell as text; an instant says its zone, so that the project's is not assumed."""
    if kind == "instant":
        return f"ifNull(concat(toString(toTimeZone({column}, 'UTC')), 'Z'), '')"
    return f"ifNull({'toJSONString' if kind == 'nested' else 'toString'}({column}), '')"
