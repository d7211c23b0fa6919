"""Where query files are found."""

from pathlib import Path

import pytest

from posthog_events.errors import QueryFileError
from posthog_events.queryfiles import Listed, find, library_dir, list_all, load, search_path


def write(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.sql").write_text(f"-- title: {name} of {folder.name}\nSELECT 1\n")
    return folder


def test_the_first_folder_with_the_name_wins(tmp_path):
    """A user's file replaces the shipped one of the same name."""
    mine, shipped = write(tmp_path / "mine", "funnel"), write(tmp_path / "shipped", "funnel", "paths")

    assert mine / "funnel.sql" == find("funnel", [mine, shipped])
    assert shipped / "paths.sql" == find("paths", [mine, shipped])
    assert "funnel of mine" == load("funnel", [mine, shipped]).title


def test_listing_shows_what_is_hidden_and_by_what(tmp_path):
    """Both files of a name are listed, sorted by name; folders that do not exist hold nothing."""
    mine, shipped = write(tmp_path / "mine", "paths", "funnel"), write(tmp_path / "shipped", "funnel")

    assert (
        Listed("funnel", mine / "funnel.sql"),
        Listed("funnel", shipped / "funnel.sql", hidden_by=mine / "funnel.sql"),
        Listed("paths", mine / "paths.sql"),
    ) == list_all([mine, tmp_path / "absent", shipped])


@pytest.mark.parametrize("written", ["{folder}/other.sql", "{folder}/./other.sql"])
def test_a_path_is_taken_as_it_is(tmp_path, written):
    """What ends in .sql or holds a separator is not looked up by name."""
    folder = write(tmp_path / "elsewhere", "other")

    assert "other" == load(written.format(folder=folder), []).name


@pytest.mark.parametrize("path", ["none.sql", "queries/none"])
def test_a_path_without_a_file_is_refused(path):
    """The message names the path."""
    with pytest.raises(QueryFileError, match=f"{path}: there is no such file"):
        find(path, [])


def test_an_unknown_name_gets_a_suggestion_and_the_command_that_lists_all(tmp_path):
    """The suggestion is a name that exists."""
    folder = write(tmp_path, "retention_weekly")

    with pytest.raises(QueryFileError, match=r"did you mean `retention_weekly`.*posthog-events query list"):
        find("retention_weakly", [folder])


def test_a_name_cannot_leave_its_folder(tmp_path):
    """Dots are part of a name, not a way up."""
    write(tmp_path, "secret")
    inner = write(tmp_path / "queries", "a")

    with pytest.raises(QueryFileError):
        find("..", [inner])


def test_folders_are_searched_from_the_nearest_to_the_shipped(tmp_path):
    """`./queries`, then the configured ones, then the library."""
    configured = tmp_path / "team"

    assert (tmp_path / "queries", configured, library_dir("queries")) == search_path([configured], cwd=tmp_path)


def test_in_a_checkout_the_library_is_searched_once():
    """`./queries` of the repository is the shipped library itself; it keeps the first place."""
    repository = library_dir("queries").parent
    team = repository / "team"

    assert (repository / "queries", team) == search_path([team], cwd=repository)


def test_the_library_of_a_wheel_comes_before_the_folder_beside_the_package(tmp_path):
    """An installed package must not pick up a folder called `queries` in site-packages."""
    package = tmp_path / "site" / "posthog_events"
    write(tmp_path / "site" / "queries", "stray")
    assert tmp_path / "site" / "queries" == library_dir("queries", package=package)

    write(package / "_library" / "queries", "funnel")
    assert package / "_library" / "queries" == library_dir("queries", package=package)
