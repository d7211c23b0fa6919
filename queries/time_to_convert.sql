-- title: Time to convert
-- question: How long do people take from the first to the last step of a funnel?
-- doc: |
--   The people who complete a funnel, as defined in the query `funnel`, by the time from the first to the last step
--   of their attempt, in bins of equal length: a bin holds times from `from_seconds` to before `to_seconds`. Empty
--   bins have a row up to the last bin that holds anyone. `cumulative_share` is the share of these people up to the
--   bin's end.
-- params:
--   steps: {type: steps, min: 2, max: 20, description: "events in order, each a name or {event, where, name}"}
--   window: {type: duration, default: 14d, description: time from the first step to the last}
--   bin: {type: duration, default: 1h, description: length of a bin}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   from_seconds: Int64
--   to_seconds: Int64
--   people: UInt64
--   share: Float64
--   cumulative_share: Float64
-- grain: one row per bin
-- tags: [funnel, conversion, time]
-- chart: {kind: bar, x: from_seconds, y: people}
{% set n = steps | length %}
{% set size = 2 ** n %}
{% set places = 2 ** 32 %}
WITH
    -- the events of the steps; bit k - 1 of `mask` says that an event matches step k
    matched AS (
        SELECT
            person_id,
            timestamp AS moment,
            dateDiff('microsecond', {{ since }}, timestamp) AS clock,
            0{% for s in steps %} + ifNull({{ s | condition }}, 0) * {{ 2 ** loop.index0 }}{% endfor %} AS mask
        FROM events
        WHERE timestamp >= {{ since }}
            AND timestamp < {{ until }}
            AND ({% for s in steps %}{{ s | condition }}{% if not loop.last %} OR {% endif %}{% endfor %})
    ),
    -- one number for each event: its time, then its first step, then its steps
    numbered AS (
        SELECT person_id, moment, (_toUInt128(clock) * {{ size }} + bitAnd(mask, 0 - mask)) * {{ size }} + mask AS key
        FROM matched
    ),
    -- the events of a person in order
    ordered AS (
        SELECT person_id, arraySort(groupArray(moment)) AS moments, arraySort(groupArray(key)) AS keys
        FROM numbered
        GROUP BY person_id
    ),
    -- a mark is an event's time and its place in that order; behind the last event stands 0
    marked AS (
        SELECT
            person_id,
            moments,
            arrayEnumerate(keys) AS numbers,
            arrayMap(key -> bitAnd(key, {{ size - 1 }}), keys) AS event_masks,
            arrayMap(
                (key, number) -> intDiv(key, {{ size * size }}) * {{ places }} + number,
                keys,
                numbers
            ) AS event_marks,
            arrayPushBack(event_masks, 0) AS masks,
            arrayPushBack(event_marks, 0) AS marks,
            marks AS {{ alias('chains_', n + 1) }}
        FROM ordered
    ),
    -- backwards from the last step: at each place the earliest match of the step from there on, and the chain after it
{% for s in steps | reverse %}
    {{ alias('walked_', loop.revindex) }} AS (
        SELECT
            person_id,
            moments,
            masks,
            marks,
            arrayPushBack(
                arrayPopFront({{ alias('chains_', loop.revindex + 1) }}),
                {{ alias('chains_', loop.revindex + 1) }}[-1]
            ) AS later,
            {% if loop.last %}arrayFilter{% else %}arrayReverseFill{% endif %}(
                (chain, mask) -> bitAnd(mask, {{ 2 ** loop.revindex0 }}) != 0,
                arrayZip(marks, later),
                masks
            ) AS {{ alias('chains_', loop.revindex) }}
        FROM {% if loop.first %}marked{% else %}{{ alias('walked_', loop.revindex + 1) }}{% endif %}

    ),
{% endfor %}
    -- the attempts of a person: for each step the marks of all attempts, 0 where there is no match
    opened AS (
        SELECT
            person_id,
            moments,
            chains_1 AS rest_0,
{% for s in steps %}
            tupleElement({{ alias('rest_', loop.index0) }}, 1) AS {{ alias('marks_', loop.index) }},
            tupleElement({{ alias('rest_', loop.index0) }}, 2) AS {{ alias('rest_', loop.index) }},
{% endfor %}
            arrayMap(mark -> (intDiv(mark, {{ places }}) + {{ window * 1000000 + 1 }}) * {{ places }}, marks_1) AS ends
        FROM walked_1
    ),
    tried AS (
        SELECT
            person_id,
            moments,
            arrayMap(
                (end{% for s in steps %}, {{ alias('mark_', loop.index) }}{% endfor %}) -> arrayFilter(
                    mark -> mark != 0 AND mark < end,
                    [
                        mark_1{% for s in steps[1:] %}, {{ alias('mark_', loop.index + 1) }}{% endfor %}

                    ]
                ),
                ends{% for s in steps %}, {{ alias('marks_', loop.index) }}{% endfor %}

            ) AS attempts,
            arrayMap(attempt -> length(attempt), attempts) AS lengths,
            arrayMax(lengths) AS reached
        FROM opened
    ),
    -- of the attempts that got furthest those that got there first, and of these the last one opened
    furthest AS (
        SELECT
            person_id,
            moments,
            reached,
            arrayFilter((attempt, len) -> len = reached, attempts, lengths) AS best,
            arrayMap(attempt -> attempt[-1], best) AS lasts,
            arrayMin(lasts) AS arrived
        FROM tried
        WHERE reached > 0
    ),
    chosen AS (
        SELECT
            person_id,
            moments,
            reached,
            arrayLast((attempt, last) -> last = arrived, best, lasts) AS path,
            arrayMap(mark -> _toInt64(intDiv(mark, {{ places }})), path) AS clocks
        FROM furthest
    ),
    timed AS (
        SELECT _toUInt64(intDiv(clocks[-1] - clocks[1], {{ bin * 1000000 }})) AS place, count() AS number
        FROM chosen
        WHERE reached = {{ n }}
        GROUP BY place
    ),
    filled AS (
        SELECT groupArrayInsertAt(number, place) AS counts, arrayCumSum(counts) AS running, arraySum(counts) AS everyone
        FROM timed
    )
SELECT
    (bin_number - 1) * {{ bin }} AS from_seconds,
    from_seconds + {{ bin }} AS to_seconds,
    people,
    people / everyone AS share,
    so_far / everyone AS cumulative_share
FROM filled
ARRAY JOIN
    arrayEnumerate(counts) AS bin_number,
    counts AS people,
    running AS so_far
ORDER BY from_seconds
LIMIT 50000
