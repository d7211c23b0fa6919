-- title: Person timeline
-- question: What did this person do, in order?
-- doc: |
--   All events of one person in the range, under any of their distinct ids; the person is named by a distinct id or
--   by the person's UUID. Events of the same moment stand in the order of their uuids.
-- params:
--   person: {type: text, description: a distinct id or a person's UUID}
--   most: {type: int, default: 1000, min: 1, max: 50000, description: how many events to show}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   timestamp: DateTime
--   event: String
--   distinct_id: String
--   session: String
--   url: Nullable(String)
--   properties: String
-- grain: one row per event
-- tags: [people]
SELECT
    timestamp,
    event,
    distinct_id,
    $session_id AS session,
    toString(properties.$current_url) AS url,
    properties
FROM events
WHERE timestamp >= {{ since }}
    AND timestamp < {{ until }}
    AND person_id IN (
        SELECT person_id
        FROM events
        WHERE (distinct_id = {{ person }} OR toString(person_id) = {{ person }})
            AND timestamp >= {{ since }}
            AND timestamp < {{ until }}
    )
ORDER BY timestamp, uuid
LIMIT {{ most }}
