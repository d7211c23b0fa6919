-- title: Event trend by property
-- question: How does an event develop over time for each value of a property?
-- doc: |
--   The `values` values with the most events in the range are shown one by one, all others together as `(other)`; a
--   missing value is `(none)`. Of values with equally many events the first in the alphabet goes before. Periods are
--   those of event_trend; a period in which a value does not occur has no row for it.
-- params:
--   event: {type: event, description: event to count}
--   by: {type: property, description: "property to compare by, such as $browser or person.plan"}
--   values: {type: int, default: 5, min: 1, max: 100, description: how many values to show one by one}
--   interval: {type: choice, choices: [day, week, month], default: day, description: length of a period}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   period: Date
--   value: String
--   events: UInt64
--   people: UInt64
-- grain: one row per period and value
-- tags: [events, trend, breakdown]
-- chart: {kind: line, x: period, y: events, color: value}
SELECT
    toDate({{ interval | start_of }}(moment)) AS period,
    if(label IN (
        SELECT ifNull(toString({{ by | property }}), '(none)') AS top
        FROM events
        WHERE event = {{ event }}
            AND timestamp >= {{ since }}
            AND timestamp < {{ until }}
{% if where %}
            AND {{ where | condition }}
{% endif %}
        GROUP BY top
        ORDER BY count() DESC, top
        LIMIT {{ values }}
    ), label, '(other)') AS value,
    count() AS events,
    uniqExact(person_id) AS people
FROM (
    SELECT
        person_id,
        timestamp AS moment,
        ifNull(toString({{ by | property }}), '(none)') AS label
    FROM events
    WHERE event = {{ event }}
        AND timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
)
GROUP BY period, value
ORDER BY period, value
LIMIT 50000
