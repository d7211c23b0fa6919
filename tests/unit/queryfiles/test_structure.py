"""Names that become structure: checked, quoted, or refused."""

import pytest

from posthog_events.errors import ParameterError
from posthog_events.hogql import ast
from posthog_events.hogql.parser import parse_expr
from posthog_events.queryfiles.structure import column_text, identifier, property_chain, property_text, unit_name


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("plan", ("properties", "plan")),
        ("$browser", ("properties", "$browser")),
        ("properties.plan", ("properties", "plan")),
        ("properties.a.b", ("properties", "a", "b")),
        ("a.b", ("properties", "a", "b")),
        ("person", ("properties", "person")),
        ("person.plan", ("person", "properties", "plan")),
        ("person.properties.plan", ("person", "properties", "plan")),
        ("person['my plan']", ("person", "properties", "my plan")),
        ("group_0.properties.name", ("group_0", "properties", "name")),
        ("weird key", ("properties", "weird key")),
        ("$feature/new-nav", ("properties", "$feature/new-nav")),
        ("größe", ("properties", "größe")),
        ("properties['a.b']", ("properties", "a.b")),
        ("properties['it''s']", ("properties", "it's")),
        ("properties['it\\'s \\\\']", ("properties", "it's \\")),
        ("properties['a']['b'].c[1]", ("properties", "a", "b", "c", 1)),
        ("50%", ("properties", "50%")),
    ],
)
def test_a_property_name_is_split_into_the_chain_that_hogql_reads(name, chain):
    """Event properties need no prefix; `person.` and groups are named."""
    assert chain == property_chain(name)


@pytest.mark.parametrize(
    "name",
    [
        *["", " ", ".", "a.", ".a", "a..b", "['a']", "a['b'", "a['b]", "a[b]", "a['\\d']", "a]b", "a['b']c", "a[-1]"],
        *["a'b", 'a"b', "a`b", "a\\b", "a\nb", "a\0b", "\ud800"],
        *["properties", "person.properties", "my group.properties.x", "x" * 401, "a." * 10 + "a"],
    ],
)
def test_what_is_no_property_is_refused(name):
    """Nothing is repaired: the message shows the forms there are."""
    with pytest.raises(ParameterError, match="is not a property; write plan"):
        property_chain(name)


@pytest.mark.parametrize(
    "name",
    ["plan", "$browser", "a.b", "weird key", "properties['it''s \\\\']", "select", "null", "1", "-- x", "{evil}"],
)
def test_a_property_reads_back_as_the_same_chain(name):
    """PostHog's parser sees one column chain, whatever the characters."""
    assert ast.Field(chain=property_chain(name)) == parse_expr(property_text(name))


def test_a_key_with_a_percent_sign_is_a_subscript():
    """PostHog refuses `%` in identifiers, but not in the text of a subscript."""
    expected = ast.ArrayAccess(array=ast.Field(chain=("properties",)), property=ast.Constant(value="50%"))

    assert expected == parse_expr(property_text("50%"))


@pytest.mark.parametrize("name", ["plan", "a b", "a.b", "a`b", "select", "größe", "a'b", "a\\b"])
def test_a_column_is_one_name(name):
    """Dots and quotes belong to the name."""
    assert ast.Field(chain=(name,)) == parse_expr(column_text(name))


@pytest.mark.parametrize("name", ["", " ", "50%", "*", "a\nb", "team_id", "NULL", "true"])
def test_what_no_column_can_be_called_is_refused(name):
    """PostHog would refuse the query with a worse message."""
    with pytest.raises(ParameterError, match="cannot name a column"):
        column_text(name)


@pytest.mark.parametrize("name", ["s1", "_x", "$y", "A9"])
def test_an_alias_is_a_bare_identifier(name):
    """Letters, digits and underscores stay as they are."""
    assert name == identifier(name)


@pytest.mark.parametrize("name", ["1s", "a b", "", "team_id", "a.b", "é", "a\n"])
def test_what_would_need_quotes_is_no_alias(name):
    """An alias is put together by the file, so it can be a plain one."""
    with pytest.raises(ParameterError, match="cannot name a column"):
        identifier(name)


@pytest.mark.parametrize(("text", "name"), [("day", "Day"), ("weeks", "Week"), ("Month", "Month")])
def test_a_unit_is_spelled_as_in_function_names(text, name):
    """Singular, plural and case do not matter."""
    assert name == unit_name(text)
