-- title: Signups by referrer
-- question: Where do new users come from?
-- doc: |
--   Signup events by the referrer on the event itself; a missing or empty one is `(none)`. `people` counts persons,
--   so someone who signs up twice counts once there.
-- params:
--   event: {type: event, default: user_signed_up, description: the signup event}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   referrer: String
--   signups: UInt64
--   people: UInt64
-- grain: one row per referrer
-- tags: [acquisition, signup]
-- chart: {kind: bar, x: referrer, y: signups}
SELECT
    ifNull(nullIf(toString(properties.$referrer), ''), '(none)') AS referrer,
    count() AS signups,
    uniqExact(person_id) AS people
FROM events
WHERE event = {{ event }}
    AND timestamp >= {{ since }}
    AND timestamp < {{ until }}
{% if where %}
    AND {{ where | condition }}
{% endif %}
GROUP BY referrer
ORDER BY signups DESC, referrer
LIMIT 1000
