-- title: Event trend
-- question: How does an event develop over time?
-- doc: |
--   Periods begin at midnight in the project's time zone, weeks on the project's first day of the week. Periods
--   without the event hold zeros. The first and the last period are cut by `since` and `until`.
-- params:
--   event: {type: event, description: event to count}
--   interval: {type: choice, choices: [day, week, month], default: day, description: length of a period}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   period: Date
--   events: UInt64
--   people: UInt64
-- grain: one row per period
-- tags: [events, trend]
-- chart: {kind: line, x: period, y: events}
SELECT
    toDate({{ interval | start_of }}(timestamp)) AS period,
    count() AS events,
    uniqExact(person_id) AS people
FROM events
WHERE event = {{ event }}
    AND timestamp >= {{ since }}
    AND timestamp < {{ until }}
{% if where %}
    AND {{ where | condition }}
{% endif %}
GROUP BY period
ORDER BY period
    WITH FILL
    FROM toDate({{ interval | start_of }}({{ since }}))
    -- the first day that has not begun before `until`
    TO toDate({{ until }}) + if(toStartOfDay({{ until }}) < {{ until }}, 1, 0)
    STEP {{ interval | interval }}
LIMIT 10000
