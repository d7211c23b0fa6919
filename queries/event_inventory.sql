-- title: Event inventory
-- question: Which events are sent, since when, and are they still sent?
-- doc: |
--   Every event name in the range. `active_days` counts the days, in the project's time zone, with at least one. The
--   default range is long, so that events which are no longer sent show up.
-- params:
--   since: {type: when, default: -365d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   event: String
--   events: UInt64
--   people: UInt64
--   first_seen: DateTime
--   last_seen: DateTime
--   active_days: UInt64
-- grain: one row per event name
-- tags: [events, inventory]
SELECT
    event,
    count() AS events,
    uniqExact(person_id) AS people,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    uniqExact(toDate(timestamp)) AS active_days
FROM events
WHERE timestamp >= {{ since }}
    AND timestamp < {{ until }}
GROUP BY event
ORDER BY events DESC, event
LIMIT 10000
