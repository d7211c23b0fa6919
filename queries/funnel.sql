-- title: Funnel
-- question: How many people go through these steps in this order, and how long do they take?
-- doc: |
--   The one definition of a funnel in this library; funnel_breakdown, funnel_dropoff_people and time_to_convert
--   follow it to the letter.
--
--   Attempts. Every event of the first step opens an attempt. Each further step takes the earliest later event that
--   matches it, at most `window` after the event that opened the attempt (exactly `window` later still counts). Other
--   events in between do not matter. One event fills one step of an attempt, so `purchase, purchase, purchase` is the
--   first, second and third purchase.
--   People. A person counts once, with the attempt that gets furthest; among those the one that got there first;
--   among those the one opened last. So a new event of the first step restarts the window, and an older attempt stays
--   open until its own window ends.
--   Ties. Times are compared to the microsecond. Events of one person at the same moment stand one after the other,
--   in the order of the steps: by the first step that each matches, then those that match fewer or earlier steps. So
--   a signup and a purchase stamped alike convert, and the second of two purchases on a date without a time is a
--   second purchase, 0 seconds later. Events alike in all this can change places without a difference, so no uuid is
--   needed.
--   Range. Only events from `since` to before `until` are seen; an attempt opened shortly before `until` may be cut.
--   Times. Seconds since the step before, over the people who reached the step: the median is the mean of the middle
--   two when their number is even, p90 the smallest value with more than 90 % of the people below or at it.
-- params:
--   steps: {type: steps, min: 2, max: 20, description: "events in order, each a name or {event, where, name}"}
--   window: {type: duration, default: 14d, description: time from the first step to the last}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   step: UInt8
--   name: String
--   people: UInt64
--   from_start: Nullable(Float64)
--   from_previous: Nullable(Float64)
--   median_seconds: Nullable(Float64)
--   p90_seconds: Nullable(Float64)
-- grain: one row per step
-- tags: [funnel, conversion]
-- chart: {kind: funnel, x: name, y: people}
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
    waited AS (
        SELECT step, toNullable(wait) AS micros
        FROM chosen
        ARRAY JOIN arrayEnumerate(clocks) AS step, arrayDifference(clocks) AS wait
    ),
    counted AS (
        SELECT
            step,
            count() AS arrivals,
            (medianExactLow(micros) + medianExactHigh(micros)) / 2000000 AS median,
            quantileExact(0.9)(micros) / 1000000 AS p90
        FROM waited
        GROUP BY step
    ),
    listed AS (
        SELECT step, name
        FROM (SELECT [{{ range(1, n + 1) | list }}] AS numbers, [{{ steps | map(attribute='name') | list }}] AS names)
        ARRAY JOIN numbers AS step, names AS name
    )
SELECT
    listed.step AS step,
    name,
    arrivals AS people,
    people / nullIf(max(people) OVER (), 0) AS from_start,
    people / nullIf(lagInFrame(people, 1, people) OVER (ORDER BY step), 0) AS from_previous,
    if(step = 1, NULL, median) AS median_seconds,
    if(step = 1, NULL, p90) AS p90_seconds
FROM listed
LEFT JOIN counted ON listed.step = counted.step
ORDER BY step
LIMIT 100
