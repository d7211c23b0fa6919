-- title: Active users
-- question: How many people are active per day, week and month, and how sticky is the product?
-- doc: |
--   A person is active on a day with at least one event that matches. `wau` and `mau` count the people active on the
--   day or one of the 6 or 29 days before it; `stickiness` is dau / mau, empty when `mau` is 0. Days are those of the
--   project's time zone. Events of the 29 days before `since` are read as well, so the first days are whole; the last
--   day is cut by `until`.
-- params:
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   day: Date
--   dau: UInt64
--   wau: UInt64
--   mau: UInt64
--   stickiness: Nullable(Float64)
-- grain: one row per day
-- tags: [engagement, active users]
-- chart: {kind: line, x: day, y: dau}
SELECT
    toDate({{ since }}) + (number - 30) AS day,
    _toUInt64(active_1) AS dau,
    _toUInt64(active_7) AS wau,
    _toUInt64(active_30) AS mau,
    if(active_30 = 0, NULL, active_1 / active_30) AS stickiness
FROM (
    -- position 1 is 29 days before `since`; people active on a day = the sum of all changes until then
    SELECT
        _toUInt64(toDate({{ until }}) - toDate({{ since }}) + 30) AS days_read,
        arrayCumSum(arrayResize(groupArrayInsertAt(change_1, place), days_read)) AS actives_1,
        arrayCumSum(arrayResize(groupArrayInsertAt(change_7, place), days_read)) AS actives_7,
        arrayCumSum(arrayResize(groupArrayInsertAt(change_30, place), days_read)) AS actives_30
    FROM (
        SELECT
            _toUInt64(change.1 - toDate({{ since }}) + 29) AS place,
            sum(change.2) AS change_1,
            sum(change.3) AS change_7,
            sum(change.4) AS change_30
        FROM (
            -- an active day counts until 1, 7 or 30 days later, but not beyond the next active day, which counts itself
            SELECT arrayJoin([
                tuple(active_day, 1, 1, 1),
                tuple(active_day + 1, -1, 0, 0),
                tuple(least(active_day + 7, next_day), 0, -1, 0),
                tuple(least(active_day + 30, next_day), 0, 0, -1)
            ]) AS change
            FROM (
                SELECT arraySort(groupUniqArray(toDate(timestamp))) AS days
                FROM events
                WHERE timestamp >= toStartOfDay({{ since }} - toIntervalDay(29))
                    AND timestamp < {{ until }}
{% if where %}
                    AND {{ where | condition }}
{% endif %}
                GROUP BY person_id
            )
            ARRAY JOIN
                days AS active_day,
                arrayPushBack(arrayPopFront(days), days[-1] + 30) AS next_day
        )
        GROUP BY place
    )
)
ARRAY JOIN
    arrayEnumerate(actives_1) AS number,
    actives_1 AS active_1,
    actives_7 AS active_7,
    actives_30 AS active_30
WHERE number >= 30
    AND day < toDate({{ until }}) + if(toStartOfDay({{ until }}) < {{ until }}, 1, 0)
ORDER BY day
LIMIT 10000
