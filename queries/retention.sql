-- title: Retention
-- question: Of the people who started in a period, how many come back in the periods after it?
-- doc: |
--   first_time: a person belongs to one cohort, the period of their first `start` event since `history`. recurring: a
--   person belongs to the cohort of every period in which they did the `start` event. `people` of a cohort at
--   `number` k did the `come_back` event in the k-th period after the cohort's own; at 0 it is the cohort itself,
--   `size`. Cohorts are the periods of the range, the one of `since` as a whole. Periods begin at midnight in the
--   project's time zone. A period that had not begun before `until` has no row; one that had not ended then has
--   `complete` 0.
-- params:
--   start: {type: event, description: event that puts a person into a cohort}
--   come_back: {type: event, description: event that counts as coming back; may be the same}
--   period: {type: choice, choices: [day, week, month], default: week, description: length of a period}
--   mode: {type: choice, choices: [first_time, recurring], default: first_time, description: one cohort each or many}
--   periods: {type: int, default: 12, min: 1, max: 400, description: how many periods to follow a cohort}
--   history: {type: when, default: -365d, description: "how far back a first time is looked for (first_time only)"}
--   since: {type: when, default: -90d, description: a moment in the first cohort}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   cohort: Date
--   size: UInt64
--   number: Int64
--   people: UInt64
--   rate: Float64
--   complete: UInt8
-- grain: one row per cohort and period after it
-- tags: [retention]
-- chart: {kind: heatmap, x: number, y: cohort, color: rate}
{% set count = periods + 1 %}
SELECT
    cohort,
    counts[1] AS size,
    place - 1 AS number,
    people,
    people / size AS rate,
    cohort + {{ period | interval_of }}(place) <= toDate({{ until }}) AS complete
FROM (
    SELECT
        cohort,
        sumForEach(arrayMap(
            later -> if(later = 0 OR has(returns, cohort + {{ period | interval_of }}(later)), 1, 0),
            range({{ count }})
        )) AS counts
    FROM (
        SELECT
            groupUniqArrayIf(toDate({{ period | start_of }}(timestamp)), event = {{ come_back }}) AS returns,
{% if mode == 'first_time' %}
            [toDate({{ period | start_of }}(minIf(timestamp, event = {{ start }})))] AS cohorts
{% else %}
            groupUniqArrayIf(toDate({{ period | start_of }}(timestamp)), event = {{ start }}) AS cohorts
{% endif %}
        FROM events
        WHERE event IN ({{ start }}, {{ come_back }})
            -- reaches back to the beginning of the first cohort
{% if mode == 'first_time' %}
            AND timestamp >= least({{ history }}, {{ since }} - {{ period | interval }})
{% else %}
            AND timestamp >= {{ since }} - {{ period | interval }}
{% endif %}
            AND timestamp < {{ until }}
{% if where %}
            AND {{ where | condition }}
{% endif %}
        GROUP BY person_id
        HAVING countIf(event = {{ start }}) > 0
    )
    ARRAY JOIN cohorts AS cohort
    WHERE cohort >= toDate({{ period | start_of }}({{ since }}))
    GROUP BY cohort
)
ARRAY JOIN
    counts AS people,
    arrayEnumerate(counts) AS place
WHERE cohort + {{ period | interval_of }}(place - 1)
    < toDate({{ until }}) + if(toStartOfDay({{ until }}) < {{ until }}, 1, 0)
ORDER BY cohort, number
LIMIT 50000
