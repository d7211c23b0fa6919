-- title: Lifecycle
-- question: Is the product gaining or losing people; who is new, who returns, who comes back, who left?
-- doc: |
--   For each period: `new` are people whose first event falls into it, looking back to `history`; `returning` were
--   active in the period before as well; `resurrecting` were active earlier, but not in the period before; `dormant`
--   were active in the period before and are not in this one. Periods begin at midnight in the project's time zone;
--   one in which nobody is any of the four has no row. The last period is cut by `until`, so its `dormant` may still
--   fall.
-- params:
--   interval: {type: choice, choices: [day, week, month], default: week, description: length of a period}
--   history: {type: when, default: -365d, description: how far back a first event is looked for}
--   since: {type: when, default: -30d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   period: Date
--   new: UInt64
--   returning: UInt64
--   resurrecting: UInt64
--   dormant: UInt64
-- grain: one row per period
-- tags: [engagement, lifecycle]
-- chart: {kind: bar, x: period, y: new}
SELECT
    change.1 AS period,
    countIf(change.2 = 'new') AS new,
    countIf(change.2 = 'returning') AS returning,
    countIf(change.2 = 'resurrecting') AS resurrecting,
    countIf(change.2 = 'dormant') AS dormant
FROM (
    SELECT arrayJoin(arrayFilter(candidate -> candidate.2 != '', [
        tuple(
            active,
            multiIf(active = first, 'new', before = active - {{ interval | interval }}, 'returning', 'resurrecting')
        ),
        tuple(active + {{ interval | interval }}, if(after = active + {{ interval | interval }}, '', 'dormant'))
    ])) AS change
    FROM (
        SELECT
            arraySort(groupUniqArray(toDate({{ interval | start_of }}(timestamp)))) AS periods,
            periods[1] AS first
        FROM events
        WHERE timestamp >= least({{ history }}, toStartOfDay({{ since }} - {{ interval | interval(2) }}))
            AND timestamp < {{ until }}
{% if where %}
            AND {{ where | condition }}
{% endif %}
        GROUP BY person_id
    )
    ARRAY JOIN
        periods AS active,
        arrayConcat([first], arrayPopBack(periods)) AS before,
        arrayPushBack(arrayPopFront(periods), first) AS after
)
WHERE period >= toDate({{ interval | start_of }}({{ since }}))
    AND period < toDate({{ until }}) + if(toStartOfDay({{ until }}) < {{ until }}, 1, 0)
GROUP BY period
ORDER BY period
LIMIT 10000
