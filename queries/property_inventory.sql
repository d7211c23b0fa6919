-- title: Property inventory
-- question: Which properties do events carry, how often, and of which type?
-- doc: |
--   Every top-level key of `properties`. `share` is the part of all events in question that carry it, even as null.
--   `types` are the JSON types that occur, in the order of the alphabet; `distinct_values` counts different JSON
--   texts; `example` is the first of these in the order of their bytes.
-- params:
--   event: {type: event, required: false, description: only events of this name}
--   since: {type: when, default: -7d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
-- returns:
--   property: String
--   events: UInt64
--   share: Float64
--   types: String
--   distinct_values: UInt64
--   example: String
-- grain: one row per property
-- tags: [properties, inventory]
SELECT
    pair.1 AS property,
    count() AS events,
    events / assumeNotNull((
        SELECT count()
        FROM events
        WHERE timestamp >= {{ since }}
            AND timestamp < {{ until }}
{% if event %}
            AND event = {{ event }}
{% endif %}
    )) AS share,
    arrayStringConcat(arraySort(groupUniqArray(multiIf(
        startsWith(pair.2, '"'), 'text',
        startsWith(pair.2, '['), 'array',
        -- a brace, which would read as a placeholder
        startsWith(pair.2, unhex('7B')), 'object',
        pair.2 IN ('true', 'false'), 'boolean',
        pair.2 = 'null', 'null',
        'number'
    ))), ', ') AS types,
    uniqExact(pair.2) AS distinct_values,
    min(pair.2) AS example
FROM (
    SELECT arrayJoin(JSONExtractKeysAndValuesRaw(properties)) AS pair
    FROM events
    WHERE timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if event %}
        AND event = {{ event }}
{% endif %}
)
GROUP BY property
ORDER BY events DESC, property
LIMIT 10000
