-- title: Paths to an event
-- question: What do people do before they first do this?
-- doc: |
--   One path per person. It ends with their first event of this name in the range and holds the last `depth` events
--   before it, at most `window` away and in the range. Names in `exclude` are left out, and then an event of the same
--   name as its neighbour. Events of the same moment stand in the order of their uuids. `step` counts away from the
--   event. A path that begins goes back to `(start)`. `share` is the part of all these people who came this way at
--   that step.
-- params:
--   event: {type: event, description: where the paths end}
--   depth: {type: int, default: 5, min: 1, max: 20, description: how many steps to follow}
--   window: {type: duration, default: 1d, description: how long before the event}
--   exclude: {type: "list[event]", default: [], description: event names to leave out}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   step: UInt32
--   source: String
--   target: String
--   people: UInt64
--   share: Float64
-- grain: one row per step and pair of events
-- tags: [paths]
SELECT
    step,
    source,
    target,
    people,
    -- everybody has a step 1
    people / sum(if(step = 1, people, 0)) OVER () AS share
FROM (
    SELECT
        step,
        source,
        target,
        count() AS people
    FROM (
        SELECT arraySlice(
            arrayCompact(arrayMap(
                entry -> entry.3,
                arrayReverse(arrayFilter(
                    entry -> tuple(entry.1, entry.2) <= anchor AND entry.1 >= anchor.1 - {{ window | interval }},
                    trail
                ))
            )),
            1,
            {{ depth + 1 }}
        ) AS path
        FROM (
            SELECT
                arraySort(groupArray(tuple(timestamp, uuid, event))) AS trail,
                arrayFirst(entry -> entry.3 = {{ event }}, trail) AS first,
                tuple(first.1, first.2) AS anchor
            FROM events
            WHERE timestamp >= {{ since }}
                AND timestamp < {{ until }}
{% if exclude %}
                AND (event = {{ event }} OR event NOT IN ({{ exclude }}))
{% endif %}
                AND person_id IN (
                    SELECT person_id
                    FROM events
                    WHERE event = {{ event }}
                        AND timestamp >= {{ since }}
                        AND timestamp < {{ until }}
                )
            GROUP BY person_id
        )
    )
    ARRAY JOIN
        path AS target,
        arrayPushBack(arrayPopFront(path), '(start)') AS source,
        arrayEnumerate(path) AS step
    WHERE step <= {{ depth }}
    GROUP BY step, source, target
)
ORDER BY step, people DESC, source, target
LIMIT 10000
