-- title: Event counts
-- question: Which events happen, how often, and to how many people?
-- doc: Every event name in the range; `share` is its part of all events that match.
-- params:
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   event: String
--   events: UInt64
--   people: UInt64
--   share: Float64
-- grain: one row per event name
-- tags: [events]
-- chart: {kind: bar, x: event, y: events}
SELECT
    name AS event,
    events,
    people,
    events / sum(events) OVER () AS share
FROM (
    SELECT
        event AS name,
        count() AS events,
        uniqExact(person_id) AS people
    FROM events
    WHERE timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY name
)
ORDER BY events DESC, event
LIMIT 1000
