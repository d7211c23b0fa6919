-- title: Revenue
-- question: How much do people buy, and how large is an order?
-- doc: |
--   Orders are events with a number in the `amount` property; others count nowhere (see data_quality). Negative
--   amounts, such as refunds, count as they are. Periods begin at midnight in the project's time zone; a period
--   without an order has no row.
-- params:
--   event: {type: event, default: purchase, description: event of buying}
--   amount: {type: property, default: amount, description: property that holds the price}
--   interval: {type: choice, choices: [day, week, month], default: month, description: length of a period}
--   since: {type: when, default: -365d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   period: Date
--   orders: UInt64
--   buyers: UInt64
--   revenue: Float64
--   average_order: Float64
--   revenue_per_buyer: Float64
-- grain: one row per period
-- tags: [revenue]
-- chart: {kind: bar, x: period, y: revenue}
SELECT
    toDate({{ interval | start_of }}(moment)) AS period,
    count() AS orders,
    uniqExact(person_id) AS buyers,
    sum(assumeNotNull(price)) AS revenue,
    revenue / orders AS average_order,
    revenue / buyers AS revenue_per_buyer
FROM (
    SELECT
        person_id,
        timestamp AS moment,
        toFloat({{ amount | property }}) AS price
    FROM events
    WHERE event = {{ event }}
        AND timestamp >= {{ since }}
        AND timestamp < {{ until }}
{% if where %}
        AND {{ where | condition }}
{% endif %}
)
WHERE price IS NOT NULL
GROUP BY period
ORDER BY period
LIMIT 10000
