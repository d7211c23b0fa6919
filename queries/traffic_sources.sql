-- title: Traffic sources
-- question: Which sources and campaigns bring visits, and which visits reach the goal?
-- doc: |
--   Sessions that start in the range, by the UTM parameters of their first page. Without `utm_source` the source is
--   the referring domain, or `(direct)`; without a medium or campaign that is `(none)`. A session converts when the
--   goal event happens in it, at any time in the range.
-- params:
--   goal: {type: event, default: user_signed_up, description: event that makes a visit a success}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   source: String
--   medium: String
--   campaign: String
--   sessions: UInt64
--   people: UInt64
--   conversions: UInt64
--   conversion: Float64
-- grain: one row per source, medium and campaign
-- tags: [acquisition, utm, web]
-- chart: {kind: bar, x: source, y: sessions}
SELECT
    coalesce(
        nullIf($entry_utm_source, ''),
        nullIf(nullIf($entry_referring_domain, ''), '$direct'),
        '(direct)'
    ) AS source,
    coalesce(nullIf($entry_utm_medium, ''), '(none)') AS medium,
    coalesce(nullIf($entry_utm_campaign, ''), '(none)') AS campaign,
    count() AS sessions,
    uniqExact(person_id) AS people,
    countIf(session_id IN (
        SELECT $session_id
        FROM events
        WHERE event = {{ goal }}
            AND timestamp >= {{ since }}
            AND timestamp < {{ until }}
    )) AS conversions,
    conversions / sessions AS conversion
FROM sessions
WHERE $start_timestamp >= {{ since }}
    AND $start_timestamp < {{ until }}
GROUP BY source, medium, campaign
ORDER BY sessions DESC, source, medium, campaign
LIMIT 1000
