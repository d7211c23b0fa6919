"""Attempts to read what a query must not reach. `@` stands for the path of a file that holds a secret.

`REFUSED` must be refused before ClickHouse sees anything. `HARMLESS` may run, because it only looks dangerous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["HARMLESS", "HOSTILE_TEXTS", "REFUSED", "Attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; `@` in the text, the values and the filters is the secret's path."""

    id: str
    hogql: str
    values: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] | None = None


_TABLE_FUNCTIONS = (
    "file('@')",
    "file('@', 'CSV')",
    "file('@', 'LineAsString', 'x String')",
    "FILE('@')",
    "`file`('@')",
    "\"file\"('@', 'RawBLOB')",
    "file /* hidden */ ('@')",
    "url('file://@', 'LineAsString', 'x String')",
    "fileCluster('default', '@')",
    "urlCluster('default', 'file://@')",
    "s3('http://127.0.0.1:9/x')",
    "gcs('http://127.0.0.1:9/x')",
    "azureBlobStorage('x', 'y', 'z')",
    "hdfs('hdfs://127.0.0.1:9/x', 'TSV', 'x String')",
    "remote('127.0.0.1:9', system, one)",
    "remoteSecure('127.0.0.1:9', 'system.one')",
    "cluster('default', system, one)",
    "clusterAllReplicas('default', 'system.one')",
    "mysql('127.0.0.1:9', 'd', 't', 'u', 'p')",
    "postgresql('127.0.0.1:9', 'd', 't', 'u', 'p')",
    "mongodb('127.0.0.1:9', 'd', 't', 'u', 'p', 'x String')",
    "redis('127.0.0.1:9', 'k', 'k String')",
    "sqlite('@', 't')",
    "odbc('DSN=x', 'd', 't')",
    "jdbc('jdbc:x', 'd', 't')",
    "executable('cat @', 'LineAsString', 'x String')",
    "input('x String')",
    "merge('system', '.*')",
    "dictionary('d')",
    "view(event)",
    "viewIfPermitted(event)",
    "values('x String', 'a')",
    "format('LineAsString', 'a')",
    "generateRandom('x String')",
    "generate_series(1, 3)",
    "zeros(3)",
    "numbers_mt(3)",
    "null('x String')",
    "loop('system', 'one')",
    "fuzzQuery('a')",
    "icebergLocal('@')",
    "deltaLakeLocal('@')",
    "hudi('http://127.0.0.1:9/x')",
    "mergeTreeIndex('d', 't')",
    "Python(os)",
    "python('os')",
)

_TABLES = (
    "system.tables",
    "system.settings",
    "system.one",
    "`system`.`processes`",
    "information_schema.tables",
    "INFORMATION_SCHEMA.COLUMNS",
    "default.events",
    "_table_function.file",
    '"@"',
    "`@`",
    "\"file('@')\"",
    "`file('@', LineAsString)`",
    "\"events, file('@')\"",
    "\"events) UNION ALL SELECT * FROM file('@'\"",
    "`events`` UNION ALL SELECT * FROM file('@')`",
    '"system.one"',
)

_SCALARS = (
    "file('@')",
    "FILE('@')",
    "`file`('@')",
    "\"file\"('@')",
    "catboostEvaluate('@', 1)",
    "dictGet('d', 'a', 1)",
    "dictGetOrDefault('d', 'a', 1, '')",
    "joinGet('t', 'a', 1)",
    "getSetting('max_threads')",
    "getMacro('a')",
    "getServerSetting('path')",
    "hostName()",
    "currentUser()",
    "currentDatabase()",
    "serverUUID()",
    "version()",
    "buildId()",
    "tcpPort()",
    "filesystemAvailable()",
    "filesystemCapacity()",
    "getOSKernelVersion()",
    "getClientHTTPHeader('Authorization')",
    "showCertificate()",
    "addressToLine(1)",
    "demangle('x')",
    "sleep(3)",
    "sleepEachRow(3)",
    "throwIf(1)",
    "logTrace('x')",
    "queryID()",
    "initialQueryID()",
    "initializeAggregation('groupArray', 1)",
    "runningAccumulate(1)",
    "structureToCapnProtoSchema('x String')",
    "evalMLMethod('m', 1)",
    "arrayReduce('groupArray', [1])",
    "arrayReduce(concat('su', 'm'), [1])",
    "arrayMap(x -> file(x), ['@'])",
    "arrayFilter(x -> notEmpty(file(x)), ['@'])",
    "arrayFold((a, x) -> concat(a, file(x)), ['@'], '')",
    "quantile(file('@'))(1)",
    "multiIf(1 = 1, file('@'), '')",
    "lower(upper(concat('a', file('@'))))",
    "(SELECT * FROM file('@'))",
    "EXISTS (SELECT 1 FROM file('@'))",
    "1 IN (SELECT 1 FROM file('@'))",
    "event IN file('@')",
    "toDecimal('1', file('@'))",
    "toDecimal('1', '2)''), file(''@'')')",
    "count() OVER (PARTITION BY file('@'))",
    "count() OVER (ORDER BY file('@'))",
    "sum(1) FILTER (WHERE file('@') != '')",
    "CASE WHEN file('@') != '' THEN 1 END",
    "[file('@')][1]",
    "(file('@'), 1).1",
    "event.file('@')",
    "person_id IN COHORT '1) OR 1 IN (SELECT 1 FROM file(''@''))'",
)

_WHOLE = (
    ("join", "SELECT 1 FROM events JOIN file('@') f ON 1 = 1"),
    ("comma-join", "SELECT 1 FROM events, file('@')"),
    ("cte", "WITH x AS (SELECT * FROM file('@')) SELECT * FROM x"),
    ("cte-named-file", "WITH file AS (SELECT 1 AS n) SELECT * FROM file('@')"),
    ("cte-named-numbers", "WITH numbers AS (SELECT 1 AS n) SELECT file('@') FROM numbers"),
    ("column-cte", "WITH file('@') AS x SELECT x"),
    ("union", "SELECT event FROM events UNION ALL SELECT * FROM file('@')"),
    ("except", "SELECT event FROM events EXCEPT SELECT * FROM file('@')"),
    ("nested", "SELECT * FROM (SELECT * FROM (SELECT * FROM file('@')))"),
    ("where", "SELECT 1 FROM events WHERE file('@') != ''"),
    ("prewhere", "SELECT 1 FROM events PREWHERE file('@') != ''"),
    ("having", "SELECT 1 FROM events GROUP BY event HAVING file('@') != ''"),
    ("group-by", "SELECT 1 FROM events GROUP BY file('@')"),
    ("order-by", "SELECT 1 FROM events ORDER BY file('@')"),
    ("qualify", "SELECT 1 FROM events QUALIFY file('@') != ''"),
    ("limit", "SELECT 1 FROM events LIMIT length(file('@'))"),
    ("limit-subquery", "SELECT 1 FROM events LIMIT (SELECT count() FROM file('@'))"),
    ("limit-by", "SELECT 1 FROM events LIMIT 1 BY file('@')"),
    ("offset", "SELECT 1 FROM events LIMIT 1 OFFSET length(file('@'))"),
    ("array-join", "SELECT x FROM events ARRAY JOIN [file('@')] AS x"),
    ("with-fill", "SELECT 1 AS n ORDER BY n WITH FILL FROM length(file('@')) TO 9"),
    ("interpolate", "SELECT 1 AS n, '' AS v ORDER BY n WITH FILL FROM 1 TO 3 INTERPOLATE (v AS file('@'))"),
    ("window", "SELECT count() OVER w FROM events WINDOW w AS (PARTITION BY file('@'))"),
    ("join-condition", "SELECT 1 FROM events a JOIN events b ON a.uuid = b.uuid AND file('@') != ''"),
    ("numbers-argument", "SELECT * FROM numbers(length(file('@')))"),
    ("sample", "SELECT 1 FROM events SAMPLE 0.5 JOIN file('@') f ON 1 = 1"),
    ("template-string", "SELECT f'{file('@')}'"),
    ("tag", "SELECT <Sparkline data={file('@')} />"),
    ("comment-then-table", "SELECT 1 -- events\n FROM file('@')"),
    ("placeholder-call", "SELECT {file('@')}"),
    ("pivot", "SELECT * FROM file('@') PIVOT (count() FOR c1 IN ('a'))"),
    ("two-statements", "SELECT 1; SELECT * FROM file('@')"),
    ("into-outfile", "SELECT event FROM events INTO OUTFILE '@.out'"),
    ("settings", "SELECT 1 FROM events SETTINGS max_threads = 1"),
    ("insert", "INSERT INTO FUNCTION file('@.out') SELECT 1"),
    ("create", "CREATE TABLE x ENGINE = File(CSV, '@') AS SELECT 1"),
    ("attach", "ATTACH TABLE x FROM '@'"),
    ("drop", "DROP TABLE events"),
    ("set", "SET readonly = 0"),
    ("system", "SYSTEM FLUSH LOGS"),
    ("show", "SHOW TABLES"),
    ("describe", "DESCRIBE file('@')"),
    ("explain", "EXPLAIN SELECT * FROM file('@')"),
    ("backup", "BACKUP ALL TO File('@.out')"),
    ("lambda-as-table", "SELECT * FROM x -> file(x)"),
    ("in-bare-table-name", "SELECT 1 FROM events WHERE event IN system.tables"),
)


# ClickHouse opens the file that a time zone named `file:PATH` names, wherever it takes a zone or a type.
_T = "toDateTime('2025-01-01 00:00:00')"
_ZONES = (
    f"toTimeZone({_T}, 'file:@')",
    f"toTimeZone({_T}, 'FILE:@')",
    f"toTimeZone({_T}, concat('fi', 'le:@'))",
    f"toTimeZone({_T}, if(1 = 1, 'file:@', 'UTC'))",
    f"toTimeZone({_T}, {{zone}})",
    f"timezone('file:@', {_T})",
    f"toDateTime({_T}, 'file:@')",
    "toDateTime('2025-01-01', 'file:@')",
    "toDateTime64('2025-01-01 00:00:00', 3, 'file:@')",
    "toDateTimeUS('01/02/2025', 'file:@')",
    "parseDateTime('2025', '%Y', 'file:@')",
    "parseDateTimeBestEffort('2025-01-01 00:00:00', 'file:@')",
    f"formatDateTime({_T}, '%Y', 'file:@')",
    f"dateTrunc('day', {_T}, 'file:@')",
    f"date_trunc('day', {_T}, 'file:@')",
    f"toStartOfDay({_T}, 'file:@')",
    "toUnixTimestamp('2025-01-01 00:00:00', 'file:@')",
    "toDayOfWeek('2025-01-01 00:00:00', 3, 'file:@')",
    "toWeek('2025-01-01 00:00:00', 3, 'file:@')",
    "toYearWeek('2025-01-01 00:00:00', 3, 'file:@')",
    "make_timestamp(2025, 1, 1, 1, 1, 1, 'file:@')",
    "make_timestamptz(2025, 1, 1, 1, 1, 1, 'file:@')",
    "now('file:@')",
    "nowInBlock('file:@')",
    f"tumbleStart({_T}, toIntervalDay(1), 'file:@')",
    f"tumbleEnd({_T}, toIntervalDay(1), 'file:@')",
    f"hopStart({_T}, toIntervalDay(1), toIntervalDay(2), 'file:@')",
    f"toStartOfInterval({_T}, toIntervalDay(1), 'file:@')",
    f"toStartOfWeek({_T}, 0, 'file:@')",
    f"dateDiff('day', {_T}, {_T}, 'file:@')",
    "JSONExtract('{}', 'a', 'DateTime(\\'file:@\\')')",
    "JSONExtract('{}', 'a', 'Array(Nullable(DateTime64(3, \\'file:@\\')))')",
    "JSONExtract('{}', 'a', concat('DateTime(\\'fi', 'le:@\\')'))",
    "JSONExtractKeysAndValues('{}', 'a', 'DateTime(\\'file:@\\')')",
    "defaultValueOfTypeName('DateTime(\\'file:@\\')')",
)


def _property(key: str, **more: Any) -> dict[str, Any]:
    return {"properties": [{"key": key, "type": "event", "operator": "exact", "value": "x", **more}]}


REFUSED = (
    *(Attempt(f"table-function-{call}", f"SELECT * FROM {call}") for call in _TABLE_FUNCTIONS),
    *(Attempt(f"table-{name}", f"SELECT * FROM {name}") for name in _TABLES),
    *(Attempt(f"scalar-{call}", f"SELECT {call} FROM events") for call in _SCALARS),
    *(Attempt(name, text) for name, text in _WHOLE),
    *(Attempt(f"zone-{call}", f"SELECT {call}", {"zone": "file:@"}) for call in _ZONES),
    Attempt("value-as-table", "SELECT * FROM {t}", {"t": "file('@')"}),
    Attempt("value-as-table-function-argument", "SELECT * FROM file({p})", {"p": "@"}),
    Attempt("object-value", "SELECT {p}", {"p": {"file": "@"}}),
    Attempt("hogql-filter", "SELECT 1 FROM events WHERE {filters}",
            filters={"properties": [{"type": "hogql", "key": "file('@') != ''"}]}),
    Attempt("hogql-filter-subquery", "SELECT 1 FROM events WHERE {filters}",
            filters={"properties": [{"type": "hogql", "key": "1 IN (SELECT 1 FROM file('@'))"}]}),
    Attempt("filter-operator", "SELECT 1 FROM events WHERE {filters}",
            filters=_property("a", operator="= file('@') --")),
    Attempt("filter-type", "SELECT 1 FROM events WHERE {filters}", filters=_property("a", type="file('@')")),
    Attempt("filter-cohort", "SELECT 1 FROM events WHERE {filters}",
            filters=_property("id", type="cohort", value="1) OR 1 IN (SELECT 1 FROM file('@'))")),
    Attempt("filter-date", "SELECT 1 FROM events WHERE {filters}",
            filters={"dateRange": {"date_from": "2025-01-01') OR file('@') != ('"}}),
)  # fmt: skip

HOSTILE_TEXTS = (
    "' OR 1 = 1 --",
    "\\' OR 1 = 1 --",
    "'; SELECT * FROM file('@'); --",
    "') UNION ALL SELECT * FROM file('@') --",
    "x' FORMAT TSV INTO OUTFILE '@.out",
    "`); SELECT * FROM file('@') --",
    "\"; SELECT * FROM file('@') --",
    "{t:Identifier}",
    "{filters}",
    "*/ SELECT * FROM file('@') /*",
    "\n; SELECT * FROM file('@')\n",
    "@",
)

_KEYS = (
    r"\'), file(\'@\')) --",
    r"\'",
    "`",
    '"',
    r"\\",
    r"a\\\', \'b",
    "a.b`) FROM file(@) --",
    "{x}",
)
_NAMES = (
    "x FROM file('@') --",
    "x, file('@') AS y",
    "x) FROM file('@') --",
    "it's \\\\ here",
    "a``b",
    "'",
    "events.*",
)

HARMLESS = (
    *(Attempt(f"value-{n}", "SELECT count() FROM events WHERE event = {v} OR {v} = ''", {"v": text})
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"value-in-list-{n}", "SELECT count() FROM events WHERE event IN {v}", {"v": [text, text]})
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"value-like-{n}", "SELECT count() FROM events WHERE event LIKE {v} OR position(event, {v}) > 0",
              {"v": text})
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"property-key-from-a-value-{n}", "SELECT properties[{v}] FROM events LIMIT 1", {"v": text})
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"filter-value-{n}", "SELECT count() FROM events WHERE {filters}", filters=_property("a", value=text))
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"filter-key-{n}", "SELECT count() FROM events WHERE {filters}", filters=_property(text))
      for n, text in enumerate(HOSTILE_TEXTS)),
    *(Attempt(f"property-key-{n}", f"SELECT properties['{key}'] FROM events LIMIT 1") for n, key in enumerate(_KEYS)),
    *(Attempt(f"nested-property-key-{n}", f"SELECT properties.a['{key}'].b FROM events LIMIT 1")
      for n, key in enumerate(_KEYS)),
    *(Attempt(f"person-property-key-{n}", f"SELECT person.properties['{key}'] FROM events LIMIT 1")
      for n, key in enumerate(_KEYS)),
    *(Attempt(f"alias-{n}", f"SELECT 1 AS `{name}`") for n, name in enumerate(_NAMES)),
    *(Attempt(f"alias-used-{n}", f"SELECT event AS `{name}` FROM events GROUP BY `{name}` ORDER BY `{name}`")
      for n, name in enumerate(_NAMES)),
    *(Attempt(f"table-alias-{n}", f"SELECT `{name}`.event FROM events AS `{name}` LIMIT 1")
      for n, name in enumerate(_NAMES)),
    *(Attempt(f"cte-name-{n}", f"WITH `{name}` AS (SELECT 1 AS n) SELECT n FROM `{name}`")
      for n, name in enumerate(_NAMES)),
    *(Attempt(f"column-name-{n}", f"SELECT `{name}` FROM (SELECT event AS `{name}` FROM events) LIMIT 1")
      for n, name in enumerate(_NAMES)),
    *(Attempt(f"lambda-name-{n}", f"SELECT arrayMap(`{name}` -> `{name}` + 1, [1])") for n, name in enumerate(_NAMES)),
    *(Attempt(f"window-name-{n}", f"SELECT count() OVER `{name}` FROM events WINDOW `{name}` AS (ORDER BY event)")
      for n, name in enumerate(_NAMES)),
    Attempt("time-zone-path", "SELECT toTimeZone(now(), '@')"),
    Attempt("time-zone-relative-path", "SELECT toDateTime('2025-01-01', '../../../../../../..@')"),
    Attempt("json-type", "SELECT JSONExtract('{}', 'a', 'Tuple(x String) FROM file(@)')"),
    Attempt("date-unit", "SELECT dateDiff('day'') , file(''@'') --', now(), now())"),
    Attempt("date-part", "SELECT date_part('year'', file(''@'')', now())"),
    Attempt("text-that-looks-like-sql", "SELECT 'SELECT * FROM file(''@'')' AS v"),
    Attempt("pattern", "SELECT match('a', '@'), replaceRegexpAll('a', 'a', '@')"),
    Attempt("format-clause-is-an-alias", "SELECT event FROM events FORMAT CSV"),
    Attempt("comment", "SELECT 1 /* FROM file('@') */ -- ; SELECT * FROM file('@')"),
    Attempt("format-function", "SELECT format('{}', '@')"),
)  # fmt: skip
