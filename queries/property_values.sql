-- title: Property values
-- question: Which values does a property have, and how common are they?
-- doc: A missing value is `(none)`; an empty text stays empty. `share` is the part of all events that match.
-- params:
--   property: {type: property, description: "property to look into, such as $browser or person.plan"}
--   event: {type: event, required: false, description: only events of this name}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   value: String
--   events: UInt64
--   people: UInt64
--   share: Float64
-- grain: one row per value
-- tags: [properties]
-- chart: {kind: bar, x: value, y: events}
SELECT
    value,
    events,
    people,
    events / sum(events) OVER () AS share
FROM (
    SELECT
        ifNull(toString({{ property | property }}), '(none)') AS value,
        count() AS events,
        uniqExact(person_id) AS people
    FROM events
    WHERE timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if event %}
        AND event = {{ event }}
{% endif %}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY value
)
ORDER BY events DESC, value
LIMIT 10000
