-- title: Feature adoption by plan
-- question: Which features do the people of each plan use?
-- doc: |
--   `uses` counts feature events, `users` the people with at least one. `plan_people` are all people of the plan with
--   any event in the range, and `adoption` is users / plan_people. The plan is the one on each event, so someone who
--   changed plan counts in both; a missing or empty plan or feature is `(none)`.
-- params:
--   event: {type: event, default: feature_used, description: event of using a feature}
--   feature: {type: property, default: feature, description: property that names the feature}
--   plan: {type: property, default: person.plan, description: property that names the plan}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   plan: String
--   feature: String
--   uses: UInt64
--   users: UInt64
--   plan_people: UInt64
--   adoption: Float64
-- grain: one row per plan and feature
-- tags: [feature, adoption]
-- chart: {kind: bar, x: feature, y: adoption, color: plan}
SELECT
    used.plan_name AS plan,
    used.feature_name AS feature,
    used.uses AS uses,
    used.users AS users,
    everyone.people AS plan_people,
    users / plan_people AS adoption
FROM (
    SELECT
        ifNull(nullIf(toString({{ plan | property }}), ''), '(none)') AS plan_name,
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
    GROUP BY plan_name, feature_name
) AS used
INNER JOIN (
    SELECT
        ifNull(nullIf(toString({{ plan | property }}), ''), '(none)') AS plan_name,
        uniqExact(person_id) AS people
    FROM events
    WHERE timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY plan_name
) AS everyone ON used.plan_name = everyone.plan_name
ORDER BY plan, users DESC, feature
LIMIT 10000
