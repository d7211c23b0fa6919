-- title: Funnel by property
-- question: How does conversion differ between plans, browsers, sources or any other property?
-- doc: |
--   One funnel, as defined in the query `funnel`, for each value of a property. A person belongs to one value: that
--   of their first event of the first step in the range (of events at the same moment, the one with the smallest
--   uuid); a missing value is `(none)`. Values stand in the order of the people who entered, then of the value
--   itself; only the first `values` of them are shown.
-- params:
--   steps: {type: steps, min: 2, max: 20, description: "events in order, each a name or {event, where, name}"}
--   window: {type: duration, default: 14d, description: time from the first step to the last}
--   by: {type: property, description: "property to compare by, such as $browser or person.plan"}
--   values: {type: int, default: 10, min: 1, max: 1000, description: how many values to show}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   value: String
--   step: UInt8
--   name: String
--   people: UInt64
--   from_start: Nullable(Float64)
--   from_previous: Nullable(Float64)
--   median_seconds: Nullable(Float64)
--   p90_seconds: Nullable(Float64)
-- grain: one row per value and step
-- tags: [funnel, conversion, breakdown]
-- chart: {kind: bar, x: name, y: people, color: value}
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
    labelled AS (
        SELECT
            person_id,
            timestamp AS moment,
            uuid,
            ifNull(toString({{ by | property }}), '(none)') AS label
        FROM events
        WHERE timestamp >= {{ since }}
            AND timestamp < {{ until }}
            AND {{ steps[0] | condition }}
    ),
    valued AS (
        SELECT person_id, argMin(label, tuple(moment, uuid)) AS value
        FROM labelled
        GROUP BY person_id
    ),
    -- every person has a row for every step, so that a step nobody reached has one as well
    waited AS (
        SELECT
            valued.value AS value,
            step,
            reached >= step AS arrived_there,
            if(arrived_there, arrayDifference(clocks)[step], NULL) AS micros
        FROM chosen
        INNER JOIN valued ON chosen.person_id = valued.person_id
        ARRAY JOIN [{{ range(1, n + 1) | list }}] AS step
    ),
    counted AS (
        SELECT
            value,
            step,
            countIf(arrived_there) AS arrivals,
            (medianExactLow(micros) + medianExactHigh(micros)) / 2000000 AS median,
            quantileExact(0.9)(micros) / 1000000 AS p90
        FROM waited
        GROUP BY value, step
    ),
    compared AS (
        SELECT
            value,
            step,
            arrivals,
            median,
            p90,
            max(arrivals) OVER (PARTITION BY value) AS entered,
            lagInFrame(arrivals, 1, arrivals) OVER (PARTITION BY value ORDER BY step) AS previous
        FROM counted
    )
SELECT
    value,
    step,
    [{{ steps | map(attribute='name') | list }}][step] AS name,
    arrivals AS people,
    people / nullIf(entered, 0) AS from_start,
    people / nullIf(previous, 0) AS from_previous,
    if(step = 1, NULL, median) AS median_seconds,
    if(step = 1, NULL, p90) AS p90_seconds
FROM compared
ORDER BY entered DESC, value, step
LIMIT {{ values * n }}
