-- title: Session length and bounce
-- question: How long are sessions, how many pages do they have, and how many bounce?
-- doc: |
--   Sessions by the day on which they start, in the project's time zone. The length is the time from the first to the
--   last event. A session bounces as PostHog defines it: one page or screen, no autocaptured click, and short;
--   sessions without a page or screen count for no bounce rate, which is empty when there are no others. The median
--   is the mean of the middle two lengths when their number is even.
-- params:
--   interval: {type: choice, choices: [day, week, month], default: day, description: length of a period}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   period: Date
--   sessions: UInt64
--   people: UInt64
--   median_seconds: Float64
--   average_seconds: Float64
--   pages_per_session: Float64
--   bounce_rate: Nullable(Float64)
-- grain: one row per period
-- tags: [sessions, engagement]
-- chart: {kind: line, x: period, y: median_seconds}
SELECT
    toDate({{ interval | start_of }}($start_timestamp)) AS period,
    count() AS sessions,
    uniqExact(person_id) AS people,
    (medianExactLow($session_duration) + medianExactHigh($session_duration)) / 2 AS median_seconds,
    avg($session_duration) AS average_seconds,
    sum($pageview_count) / sessions AS pages_per_session,
    countIf($is_bounce = 1) / nullIf(countIf($is_bounce IS NOT NULL), 0) AS bounce_rate
FROM sessions
WHERE $start_timestamp >= {{ since }}
    AND $start_timestamp < {{ until }}
GROUP BY period
ORDER BY period
LIMIT 10000
