-- title: Top pages
-- question: Which pages are seen most, and by how many people?
-- doc: |
--   Pageviews by path: `$pathname` where it is sent, else the path of `$current_url`; `(none)` without either. Host,
--   query string and fragment are left out.
-- params:
--   event: {type: event, default: $pageview, description: event of seeing a page}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   page: String
--   views: UInt64
--   people: UInt64
--   sessions: UInt64
--   share: Float64
-- grain: one row per page
-- tags: [web, pages]
-- chart: {kind: bar, x: page, y: views}
SELECT
    page,
    views,
    people,
    sessions,
    views / sum(views) OVER () AS share
FROM (
    SELECT
        coalesce(
            nullIf(toString(properties.$pathname), ''),
            nullIf(path(toString(properties.$current_url)), ''),
            '(none)'
        ) AS page,
        count() AS views,
        uniqExact(person_id) AS people,
        uniqExactIf($session_id, $session_id != '') AS sessions
    FROM events
    WHERE event = {{ event }}
        AND timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
    GROUP BY page
)
ORDER BY views DESC, page
LIMIT 1000
