"""Places on the globe, H3 cells. Source: posthog/hogql/functions/clickhouse/geo.py."""

from __future__ import annotations

from posthog_events.clickhouse.functions.model import Function
from posthog_events.clickhouse.functions.rules import fixed, named
from posthog_events.clickhouse.sqltype import FLOAT, INTEGER, STRING, TUPLE, array_of

__all__ = ["GEO"]

_INTEGERS = array_of(INTEGER)

GEO: tuple[Function, ...] = (
    *named("greatCircleDistance geoDistance greatCircleAngle", 4, 4, fixed(FLOAT)),
    *named("pointInEllipses", 6, None, fixed(INTEGER)),
    *named("pointInPolygon", 2, None, fixed(INTEGER)),
    *named("geohashEncode", 2, 3, fixed(STRING)),
    *named("geohashDecode", 1, 1, fixed(TUPLE)),
    *named("geohashesInBox", 5, 5, fixed(array_of(STRING))),
    *named("geoToH3", 3, 3, fixed(INTEGER)),
    *named("h3ToGeo", 1, 1, fixed(TUPLE)),
    *named("h3ToGeoBoundary h3GetUnidirectionalEdgeBoundary", 1, 1, fixed(array_of(TUPLE))),
    *named("h3ToString", 1, 1, fixed(STRING)),
    *named("stringToH3", 1, 1, fixed(INTEGER)),
    *named(
        "h3IsValid h3GetResolution h3GetBaseCell h3IsResClassIII h3IsPentagon h3NumHexagons "
        "h3UnidirectionalEdgeIsValid h3GetOriginIndexFromUnidirectionalEdge "
        "h3GetDestinationIndexFromUnidirectionalEdge",
        1,
        1,
        fixed(INTEGER),
    ),
    *named(
        "h3EdgeAngle h3EdgeLengthM h3EdgeLengthKm h3HexAreaM2 h3HexAreaKm2 h3CellAreaM2 h3CellAreaRads2 "
        "h3ExactEdgeLengthM h3ExactEdgeLengthKm h3ExactEdgeLengthRads",
        1,
        1,
        fixed(FLOAT),
    ),
    *named("h3PointDistM h3PointDistKm h3PointDistRads", 4, 4, fixed(FLOAT)),
    *named("h3kRing h3HexRing h3Line h3ToChildren", 2, 2, fixed(_INTEGERS)),
    *named("h3IndexesAreNeighbors h3ToParent h3ToCenterChild h3Distance h3GetUnidirectionalEdge", 2, 2, fixed(INTEGER)),
    *named("h3GetFaces h3GetPentagonIndexes h3GetUnidirectionalEdgesFromHexagon", 1, 1, fixed(_INTEGERS)),
    *named("h3GetRes0Indexes", 0, 0, fixed(_INTEGERS)),
    *named("h3GetIndexesFromUnidirectionalEdge", 1, 1, fixed(TUPLE)),
)
