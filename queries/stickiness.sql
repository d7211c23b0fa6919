-- title: Stickiness
-- question: On how many different days do people use the product?
-- doc: |
--   People by the number of days, in the project's time zone, on which they did the event. `share_at_least` is the
--   share of these people who were active on that many days or more.
-- params:
--   event: {type: event, description: event that makes a day count}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   days: UInt64
--   people: UInt64
--   share: Float64
--   share_at_least: Float64
-- grain: one row per number of days
-- tags: [engagement]
-- chart: {kind: bar, x: days, y: people}
SELECT
    days,
    people,
    people / sum(people) OVER () AS share,
    sum(people) OVER (ORDER BY days DESC) / sum(people) OVER () AS share_at_least
FROM (
    SELECT
        days,
        count() AS people
    FROM (
        SELECT uniqExact(toDate(timestamp)) AS days
        FROM events
        WHERE event = {{ event }}
            AND timestamp >= {{ since }}
            AND timestamp < {{ until }}
{% if where %}
            AND {{ where | condition }}
{% endif %}
        GROUP BY person_id
    )
    GROUP BY days
)
ORDER BY days
LIMIT 10000
