-- title: Feature adoption over time
-- question: Are features used by more and more of the active people?
-- doc: |
--   For each period and feature: `uses` counts feature events, `users` the people with at least one, `active_people`
--   the people with any event in that period, and `adoption` is users / active_people. Periods begin at midnight in
--   the project's time zone; a missing or empty feature is `(none)`; a period without a use of a feature has no row
--   for it.
-- params:
--   event: {type: event, default: feature_used, description: event of using a feature}
--   feature: {type: property, default: feature, description: property that names the feature}
--   interval: {type: choice, choices: [day, week, month], default: week, description: length of a period}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   period: Date
--   feature: String
--   uses: UInt64
--   users: UInt64
--   active_people: UInt64
--   adoption: Float64
-- grain: one row per period and feature
-- tags: [feature, adoption, trend]
-- chart: {kind: line, x: period, y: adoption, color: feature}
SELECT
    used.start AS period,
    used.feature_name AS feature,
    used.uses AS uses,
    used.users AS users,
    everyone.people AS active_people,
    users / active_people AS adoption
FROM (
    SELECT
        toDate({{ interval | start_of }}(timestamp)) AS start,
        ifNull(nullIf(toString({{ feature | property }}), ''), '(none)') AS feature_name,
        count() AS uses,
        uniqExact(person_id) AS users
    FROM events
    WHERE event = {{ event }}
        AND timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY start, feature_name
) AS used
INNER JOIN (
    SELECT
        toDate({{ interval | start_of }}(timestamp)) AS start,
        uniqExact(person_id) AS people
    FROM events
    WHERE timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY start
) AS everyone ON used.start = everyone.start
ORDER BY period, users DESC, feature
LIMIT 50000
