-- title: Cohort revenue
-- question: How much do the people who first bought in a period spend over time?
-- doc: |
--   A cohort is everyone whose first order since `since` falls into one period; orders are those of
--   revenue_by_period. `number` counts the periods after the cohort's own, which is 0. `buyers`, `orders` and
--   `revenue` are of that period; the last two columns divide by `size`, all people of the cohort, whether they
--   bought again or not. The last period is cut by `until`.
-- params:
--   event: {type: event, default: purchase, description: event of buying}
--   amount: {type: property, default: amount, description: property that holds the price}
--   interval: {type: choice, choices: [day, week, month], default: month, description: length of a period}
--   since: {type: when, default: -365d, description: first moment}
--   until: {type: when, default: 0d, description: "end, itself excluded; 0d is now"}
--   where: {type: where, required: false, description: "which events count, such as properties.$browser = 'Firefox'"}
-- returns:
--   cohort: Date
--   size: UInt64
--   number: Int64
--   buyers: UInt64
--   orders: UInt64
--   revenue: Float64
--   revenue_per_person: Float64
--   revenue_per_person_so_far: Float64
-- grain: one row per cohort and period after it
-- tags: [revenue, cohorts]
-- chart: {kind: line, x: number, y: revenue_per_person_so_far, color: cohort}
SELECT
    cohort,
    period_buyers[1] AS size,
    place - 1 AS number,
    buyers,
    orders,
    revenue,
    revenue / size AS revenue_per_person,
    spent / size AS revenue_per_person_so_far
FROM (
    SELECT
        cohort,
        _toUInt64(dateDiff({{ interval }}, cohort, toDate({{ interval | start_of }}({{ until }}))) + 1) AS followed,
        arrayResize(groupArrayInsertAt(people, later), followed) AS period_buyers,
        arrayResize(groupArrayInsertAt(bought, later), followed) AS period_orders,
        arrayResize(groupArrayInsertAt(paid, later), followed) AS period_revenue
    FROM (
        SELECT
            cohort,
            _toUInt64(dateDiff({{ interval }}, cohort, period)) AS later,
            count() AS people,
            sum(person_orders) AS bought,
            sum(person_revenue) AS paid
        FROM (
            SELECT
                period,
                min(period) OVER (PARTITION BY person_id) AS cohort,
                person_orders,
                person_revenue
            FROM (
                SELECT
                    person_id,
                    toDate({{ interval | start_of }}(moment)) AS period,
                    count() AS person_orders,
                    sum(assumeNotNull(price)) AS person_revenue
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
                GROUP BY person_id, period
            )
        )
        GROUP BY cohort, later
    )
    GROUP BY cohort
)
ARRAY JOIN
    arrayEnumerate(period_buyers) AS place,
    period_buyers AS buyers,
    period_orders AS orders,
    period_revenue AS revenue,
    arrayCumSum(period_revenue) AS spent
WHERE cohort + {{ interval | interval_of }}(place - 1)
    < toDate({{ until }}) + if(toStartOfDay({{ until }}) < {{ until }}, 1, 0)
ORDER BY cohort, number
LIMIT 50000
