"""Charts as PNG, SVG and HTML: the numbers, their order, and nothing from strangers or the network."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from posthog_events.errors import ConfigError
from posthog_events.frames.chart import ChartSpec
from posthog_events.frames.chart_file import chart_json, save_chart
from tests.helpers.chart_frames import ALL, BARS, DAYS, FUNNEL, LINE, RETENTION

ROOT = Path(__file__).parents[3]
ATTACK = "</script><script>alert(1)</script>"


def svg_texts(path: Path) -> list[str]:
    """Return the texts of a picture in the order in which they are drawn."""
    return [element.text or "" for element in ET.parse(path).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", ALL)
def test_svg_holds_title_and_labels(name: str, tmp_path: Path) -> None:
    """Every kind becomes a valid SVG with its title."""
    save_chart(ALL[name], tmp_path / "chart.svg", title="Some title")

    assert "Some title" in svg_texts(tmp_path / "chart.svg")


def test_axes_are_titled_in_words(tmp_path: Path) -> None:
    """A column name is written without its underscores."""
    save_chart(pl.DataFrame({"page": ["a"], "unique_people": [3]}), tmp_path / "chart.svg")

    assert "unique people" in svg_texts(tmp_path / "chart.svg")


def test_steps_are_in_order_with_their_conversion(tmp_path: Path) -> None:
    """A funnel's steps are not sorted by name, and carry their numbers."""
    save_chart(FUNNEL, tmp_path / "chart.svg")

    texts = svg_texts(tmp_path / "chart.svg")
    assert [text for text in texts if text[:2] in ("1.", "2.", "3.")] == ["1. signup", "2. project", "3. purchase"]
    assert [text for text in texts if text in ("200", "100", "25")] == ["200", "100", "25"]
    assert "12.5% of all, 25% of the step before" in texts


def test_tenth_step_comes_last(tmp_path: Path) -> None:
    """Steps are in the order of the rows, not of their labels."""
    steps = [f"{n}. step" for n in range(1, 12)]
    frame = pl.DataFrame({"step": range(1, 12), "name": ["step"] * 11, "people": range(11, 0, -1)})
    save_chart(frame, tmp_path / "chart.svg")

    assert [text for text in svg_texts(tmp_path / "chart.svg") if text.endswith(". step")] == steps


def test_bars_carry_their_numbers_in_the_order_of_the_rows(tmp_path: Path) -> None:
    """Categories are not sorted; a missing one has a sign of its own."""
    save_chart(BARS, tmp_path / "chart.svg")

    texts = svg_texts(tmp_path / "chart.svg")
    assert [text for text in texts if text in ("google.com", '""', "∅")] == ["google.com", '""', "∅"]
    # the axis comes first, and has a tick at 1,200 too
    assert [text for text in texts if text in ("1,200", "300")][-2:] == ["1,200", "300"]


def test_categories_of_one_name_do_not_hide_each_other() -> None:
    """Rows that look alike keep a bar each."""
    frame = pl.DataFrame({"name": ["a", "a", None, "∅"], "n": [1, 2, 3, 4]})

    spec = json.loads(chart_json(frame))

    (rows,) = spec["datasets"].values()
    assert [row["x"] for row in rows] == ["a", "a (2)", "∅", "∅ (2)"]


def test_bars_over_time_stand(tmp_path: Path) -> None:
    """Time runs to the right in bars too, with the number above each."""
    spec = json.loads(chart_json(LINE, ChartSpec("bar", "day", "dau")))
    save_chart(LINE, tmp_path / "chart.svg", ChartSpec("bar", "day", "dau"))

    assert spec["layer"][0]["encoding"]["x"]["sort"] == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]
    assert spec["layer"][0]["encoding"]["y"]["type"] == "quantitative"
    assert svg_texts(tmp_path / "chart.svg").count("10") >= 2


def test_heat_map_shows_percentages_in_their_order(tmp_path: Path) -> None:
    """Each cell carries its share, row by row."""
    save_chart(RETENTION, tmp_path / "chart.svg")

    assert [text for text in svg_texts(tmp_path / "chart.svg") if "%" in text] == ["100%", "25%", "100%"]


def test_time_axis_is_in_the_zone_of_the_data() -> None:
    """Midnight in Berlin is drawn as midnight, wherever the chart is looked at, and the zone is named."""
    midnight = datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    frame = pl.DataFrame({"at": [midnight], "n": [1]}, schema_overrides={"at": pl.Datetime("us", "Europe/Berlin")})

    spec = json.loads(chart_json(frame))

    assert spec["encoding"]["x"]["scale"]["type"] == "utc"
    assert spec["encoding"]["x"]["axis"]["title"] == "at (Europe/Berlin)"
    assert "2024-07-01T00:00:00.000Z" in json.dumps(spec)


def test_whole_numbers_have_whole_ticks(tmp_path: Path) -> None:
    """Between the first and the second month there is no month 0.5."""
    frame = pl.DataFrame({"number": [0, 1, 2], "spent": [10.0, 20.0, 30.0]})
    save_chart(frame, tmp_path / "chart.svg", ChartSpec("line", "number", "spent"))

    assert [text for text in svg_texts(tmp_path / "chart.svg") if text in ("0.5", "1", "1.0", "1.5", "2")] == ["1", "2"]


@pytest.mark.parametrize(
    ("frame", "note"),
    [
        (pl.DataFrame({"page": [f"/{n}" for n in range(70)], "n": range(70)}), "+20 more rows, of 70"),
        (pl.DataFrame({"day": DAYS[:1] * 12, "who": list("abcdefghijkl"), "n": range(12)}), "+2 more series, of 12"),
        (
            pl.DataFrame({"cohort": [f"c{n}" for n in range(90)], "kind": ["x"] * 90, "rate": [0.5] * 90}),
            "rate +30 more rows, of 90",
        ),
    ],
    ids=["bars", "series", "cohorts"],
)
def test_what_is_not_drawn_is_counted(frame: pl.DataFrame, note: str) -> None:
    """The subtitle says how much of a long result is missing."""
    hint = ChartSpec("heatmap", "kind", "cohort", "rate") if "kind" in frame.columns else None

    assert json.loads(chart_json(frame, hint))["title"]["subtitle"] == note


@pytest.mark.parametrize(
    "values",
    [[math.nan, math.inf], [0, 0], [None, None], [-5, 3], [7]],
    ids=["not finite", "zero", "missing", "negative", "one"],
)
@pytest.mark.parametrize("kind", ["bar", "line", "funnel", "heatmap"])
def test_every_number_can_be_drawn(kind: str, values: list[float | None], tmp_path: Path) -> None:
    """No value stops a chart of any kind."""
    frame = pl.DataFrame({"day": DAYS[: len(values)], "n": pl.Series(values, dtype=pl.Float64)})
    spec = ChartSpec("heatmap", "day", "day", "n") if kind == "heatmap" else ChartSpec(kind, "day", "n")  # type: ignore[arg-type]

    save_chart(frame, tmp_path / "chart.svg", spec, title="Every number")

    assert "Every number" in svg_texts(tmp_path / "chart.svg")


def test_png_is_a_png_at_twice_the_size(tmp_path: Path) -> None:
    """The picture is sharp on today's screens; the ending may be in capitals."""
    save_chart(LINE, tmp_path / "chart.PNG")
    data = (tmp_path / "chart.PNG").read_bytes()

    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") > 2 * 720


class _Tags(HTMLParser):
    """Collects the tags of a page, as a browser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_html_needs_no_network_and_runs_no_foreign_script(tmp_path: Path) -> None:
    """The page refers to nothing, forbids itself to load anything, and labels cannot end its script."""
    save_chart(pl.DataFrame({ATTACK: [ATTACK], "n": [1]}), tmp_path / "chart.html", title=ATTACK)
    page = (tmp_path / "chart.html").read_text(encoding="utf-8")

    tags = _Tags()
    tags.feed(page)
    assert [tag for tag, _ in tags.found].count("script") == 1
    assert [attributes for _, attributes in tags.found if attributes.keys() & {"src", "href", "srcset"}] == []
    assert "default-src 'none'" in page
    assert "window.vegaEmbed=" in page  # the library itself is there
    assert "alert(1)</script>" not in page


def test_svg_labels_are_text(tmp_path: Path) -> None:
    """Markup in an event is not markup in the picture, and control characters are written out."""
    save_chart(pl.DataFrame({"a": [ATTACK, "\x1b[2J\x00"], "n": [1, 2]}), tmp_path / "chart.svg", title=ATTACK + "\x07")

    texts = svg_texts(tmp_path / "chart.svg")
    assert "script" not in {element.tag.split("}")[-1] for element in ET.parse(tmp_path / "chart.svg").iter()}
    assert "\\x1b[2J\\x00" in texts
    assert ATTACK + "\\x07" in texts


@pytest.mark.parametrize("name", ["chart.gif", "chart", "chart.png.txt"])
def test_chart_file_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    """The endings that work are listed, and nothing is written."""
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.html"):
        save_chart(BARS, tmp_path / name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_missing_package_names_the_extra(missing: str, tmp_path: Path) -> None:
    """Without the packages there is one sentence with the command that installs them."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import polars as pl\n"
        "from pathlib import Path\n"
        "from posthog_events.errors import MissingExtra\n"
        "from posthog_events.frames.chart_file import save_chart\n"
        "try:\n"
        "    save_chart(pl.DataFrame({'a': ['x'], 'n': [1]}), Path(sys.argv[1]))\n"
        "except MissingExtra as error:\n"
        "    print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "chart.svg")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert done.stdout.endswith('pip install "posthog-events[reports]"\n')
