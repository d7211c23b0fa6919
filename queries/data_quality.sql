-- title: Data quality
-- question: Which events lack properties they should have, come late, carry impossible times or come twice?
-- doc: |
--   Checks of every event name: `missing: x`, the property x is absent, null or empty; `late`, stored more than
--   `late_after` after it happened; `from the future`, stamped more than 5 minutes after it was stored; `repeated`,
--   the same name, distinct_id, time and properties as another event (all copies but one are counted). Copies with
--   the same uuid are not seen: PostHog and the local store keep one of them. Only findings have a row.
-- params:
--   properties: {type: "list[property]", default: [$lib], min: 1, description: properties that every event should have}
--   late_after: {type: duration, default: 1h, description: how much later than it happened an event may be stored}
--   event: {type: event, required: false, description: only events of this name}
--   since: {type: when, default: -7d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   event: String
--   problem: String
--   affected: UInt64
--   events: UInt64
--   share: Float64
-- grain: one row per event name and problem
-- tags: [quality]
SELECT
    name AS event,
    problem,
    affected,
    events,
    affected / events AS share
FROM (
    SELECT
        name,
        sum(copies) AS events,
        sum(late) AS late_events,
        sum(future) AS future_events,
        sum(copies - 1) AS repeated_events,
        sumForEach(missing) AS missing_events
    FROM (
        SELECT
            event AS name,
            count() AS copies,
            countIf(created_at > timestamp + {{ late_after | interval }}) AS late,
            countIf(timestamp > created_at + toIntervalMinute(5)) AS future,
            [
{% for name in properties %}
                countIf(ifNull(toString({{ name | property }}), '') = ''){% if not loop.last %},{% endif %}

{% endfor %}
            ] AS missing
        FROM events
        WHERE timestamp >= {{ since }}
            AND timestamp < {{ until }}
{% if event %}
            AND event = {{ event }}
{% endif %}
        GROUP BY event, distinct_id, timestamp, cityHash64(properties)
    )
    GROUP BY name
)
ARRAY JOIN
    [
        'late',
        'from the future',
        'repeated'{% for name in properties %},
        concat('missing: ', {{ name }}){% endfor %}

    ] AS problem,
    arrayConcat([late_events, future_events, _toUInt64(repeated_events)], missing_events) AS affected
WHERE affected > 0
ORDER BY event, problem
LIMIT 10000
