"""`hog_function_templates/`: what a destination can be made of. Source: reference 2.1 and 2.2.

The Hog code is ours: it does what the templates of PostHog do, and is here to be read back, copied and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from posthog_events.emulator.endpoint import Call, api_route, reply
from posthog_events.emulator.hog_programs import Program, discord, slack, teams, webhook
from posthog_events.emulator.hog_state import DeliveryRules, state_of
from posthog_events.emulator.listing import not_found, numbered_page

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["HIDDEN", "ROUTES", "program_of", "template", "templates"]

HIDDEN = "hidden"

_WEBHOOK = """let request := {'headers': inputs.headers, 'body': inputs.body, 'method': inputs.method}
if (inputs.debug) {
  print('Request', inputs.url, request)
}
SIGNlet answer := fetch(inputs.url, request)
if (answer.status >= FAILING) {
  throw Error(f'Webhook failed with status {answer.status}: {answer.body}')
}
if (inputs.debug) {
  print('Response', answer.status, answer.body)
}"""

_SLACK = """let message := {
  'channel': inputs.channel, 'icon_emoji': inputs.icon_emoji, 'username': inputs.username,
  'blocks': inputs.blocks, 'text': inputs.text
}
if (not empty(inputs.thread_ts)) {
  message['thread_ts'] := inputs.thread_ts
}
let answer := fetch('https://slack.com/api/chat.postMessage', {
  'body': message,
  'method': 'POST',
  'headers': {
    'Authorization': f'Bearer {inputs.slack_workspace.access_token}', 'Content-Type': 'application/json'
  }
})
if (answer.status != 200 or answer.body.ok == false) {
  throw Error(f'Failed to post message to Slack: {answer.status}: {answer.body}')
}"""

_POST = """let answer := fetch(inputs.webhookUrl, {
  'body': {BODY}, 'method': 'POST', 'headers': {'Content-Type': 'application/json'}
})
if (answer.status >= 400) {
  throw Error(f'Failed to post message to NAME: {answer.status}: {answer.body}')
}"""

_SIGN = """if (not empty(inputs.signing_secret)) {
  request['signing_secret'] := inputs.signing_secret
}
"""
_WEBHOOKS: Mapping[tuple[int, bool], str] = {
    (failing, signs): _WEBHOOK.replace("FAILING", str(failing)).replace("SIGN", _SIGN if signs else "")
    for failing in (300, 400)
    for signs in (True, False)
}
_DISCORD = _POST.replace("BODY", "'content': inputs.content").replace("NAME", "Discord")
_TEAMS = _POST.replace("BODY", "'type': 'message', 'text': inputs.text").replace("NAME", "Microsoft Teams")

_PROGRAMS: Mapping[str, Program] = {
    **{code: webhook(failing, signs=signs) for (failing, signs), code in _WEBHOOKS.items()},
    _SLACK: slack,
    _DISCORD: discord,
    _TEAMS: teams,
}

_SOMEONE = "*{person.name}* triggered event: '{event.event}'"


def _item(key: str, kind: str, label: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": kind, "label": label, "required": False, "secret": False, "hidden": False, **more}


def _choice(*values: str) -> list[dict[str, str]]:
    return [{"label": value, "value": value} for value in values]


_WEBHOOK_SCHEMA = [
    _item("url", "string", "Webhook URL", required=True),
    _item("method", "choice", "Method", default="POST", choices=_choice("POST", "PUT", "PATCH", "GET", "DELETE")),
    _item("body", "json", "JSON Body", default={"event": "{event}", "person": "{person}"}),
    _item(
        "headers",
        "dictionary",
        "Headers",
        default={"Content-Type": "application/json", "Accept": "application/json"},
    ),
    _item("debug", "boolean", "Log responses", default=False),
]
_SIGNING = _item("signing_secret", "string", "Signing secret", secret=True)

_SLACK_SCHEMA = [
    _item(
        "slack_workspace",
        "integration",
        "Slack workspace",
        required=True,
        integration="slack",
        requiredScopes="channels:read groups:read chat:write chat:write.customize",
    ),
    _item(
        "channel",
        "integration_field",
        "Channel to post to",
        required=True,
        integration_key="slack_workspace",
        integration_field="slack_channel",
    ),
    _item("icon_emoji", "string", "Emoji icon", default=":hedgehog:"),
    _item("username", "string", "Bot name", default="PostHog"),
    _item("blocks", "json", "Blocks", default=[{"type": "section", "text": {"type": "mrkdwn", "text": _SOMEONE}}]),
    _item("text", "string", "Plain text message", default=_SOMEONE),
    _item("thread_ts", "string", "Reply in thread"),
]

_DISCORD_SCHEMA = [
    _item("webhookUrl", "string", "Webhook URL", required=True),
    _item("content", "string", "Content", required=True, default="**{person.name}** triggered event: '{event.event}'"),
    _item(
        "allowedMentions",
        "choice",
        "Allowed mentions",
        default="none",
        choices=_choice("none", "roles_users", "everyone"),
    ),
]
_TEAMS_SCHEMA = [
    _item("webhookUrl", "string", "Webhook URL", required=True),
    _item("text", "string", "Text", required=True, default="**{person.name}** triggered event: '{event.event}'"),
]
_EMAIL_SCHEMA = [_item("email", "native_email", "Email message", required=True)]


def _template(
    id_: str, name: str, code: str, schema: list[dict[str, Any]], *, free: bool = True, status: str = "stable"
) -> dict[str, Any]:
    return {
        "id": id_,
        "name": name,
        "description": f"Sends what happened to {name}",
        "code": code,
        "code_language": "hog",
        "inputs_schema": schema,
        "type": "destination",
        "status": status,
        "category": ["Custom"],
        "free": free,
        "icon_url": f"/static/services/{id_.removeprefix('template-')}.png",
        "filters": None,
        "masking": None,
        "mapping_templates": None,
    }


def templates(rules: DeliveryRules) -> dict[str, dict[str, Any]]:
    """Return the templates of a server, by id."""
    schema = [*_WEBHOOK_SCHEMA, *([_SIGNING] if rules.signing else [])]
    code = _WEBHOOKS[300 if rules.strict_status else 400, rules.signing]
    made = (
        _template("template-webhook", "HTTP Webhook", code, schema, free=False),
        _template("template-slack", "Slack", _SLACK, _SLACK_SCHEMA),
        _template("template-discord", "Discord", _DISCORD, _DISCORD_SCHEMA),
        _template("template-microsoft-teams", "Microsoft Teams", _TEAMS, _TEAMS_SCHEMA),
        _template("template-email", "Email", "sendEmail(inputs.email)", _EMAIL_SCHEMA, status=HIDDEN),
    )
    return {one["id"]: one for one in made}


def template(rules: DeliveryRules, template_id: str | None) -> dict[str, Any] | None:
    """Return a template; None when there is none."""
    return templates(rules).get(template_id or "")


def program_of(hog: str) -> Program | None:
    """Return what runs in the place of some Hog code; None for code that is not a template's."""
    return _PROGRAMS.get(hog.rstrip())


def list_templates(call: Call) -> Response:
    """Answer `GET hog_function_templates/`: what is neither hidden nor deprecated."""
    wanted = (call.query.get("types") or call.query.get("type") or "destination").split(",")
    found = [
        one
        for one in templates(state_of(call.project).rules).values()
        if one["status"] not in (HIDDEN, "deprecated")
        and one["type"] in wanted
        and call.query.get("template_id") in (None, one["id"])
    ]
    return numbered_page(call.world, call.request, found, total=True)


def one_template(call: Call) -> Response:
    """Answer `GET hog_function_templates/{id}/`, whatever its status."""
    found = template(state_of(call.project).rules, call.params["template_id"])
    if found is None:
        raise not_found("Template not found.")
    return reply(found)


ROUTES = (
    api_route("hog_function_templates/", list_templates, scope="hog_function:read"),
    api_route("hog_function_templates/{template_id}/", one_template, scope="hog_function:read"),
)
