'''Ready handlers; each is made by a function, and added to a receiver under a name of one's choice.

::

    receiver.add_handler(slack_message(os.environ["SLACK_WEBHOOK"], "{person.name} signed up"), "user_signed_up")
    receiver.add_handler(forward("https://example.com/hook", secret=os.environ["HOOK_SECRET"]), "*", name="example")
    receiver.add_handler(append_to_store("events"), "*", name="store", concurrency=200)

A handler may run twice for one delivery. Each sends `Idempotency-Key`, the same on every attempt, to services that know
it. What a service refuses for good is given up, what it may take later is tried again (see `posting`).

For a service of which there is no ready handler, a few lines do. This one keeps the contacts of a CRM up to date::

    import os
    from urllib.parse import quote

    import requests

    from posthog_events.receiver.context import GiveUp, TryAgain

    CRM, KEY = os.environ["CRM_URL"], os.environ["CRM_API_KEY"]

    @receiver.on("user_signed_up", "plan_changed", where="person.email is_set", ordered=True)
    def upsert_contact(event, context):
        """Create or update the contact with the person's email address."""
        email = event.person.properties["email"]
        answer = requests.put(
            f"{CRM}/contacts/{quote(email, safe='')}",
            json={"email": email, "plan": event.properties.get("plan"), "last_event": event.name},
            headers={"Authorization": f"Bearer {KEY}", "Idempotency-Key": context.idempotency_key},
            timeout=10,
            allow_redirects=False,
        )
        if answer.status_code in (408, 429):
            raise TryAgain("the CRM is busy", after_s=float(answer.headers.get("Retry-After", 30)))
        if answer.status_code < 500 and not answer.ok:
            raise GiveUp(f"the CRM answered {answer.status_code}")
        answer.raise_for_status()

`PUT` to the address of the contact makes a second attempt harmless, and `ordered=True` keeps an older plan from
replacing a newer one.
'''

from posthog_events.receiver.handlers.forwarding import forward
from posthog_events.receiver.handlers.posting import NotDelivered
from posthog_events.receiver.handlers.querying import post_result, run_query
from posthog_events.receiver.handlers.slack import slack_message
from posthog_events.receiver.handlers.storing import append_to_parquet, append_to_store

__all__ = [
    "NotDelivered",
    "append_to_parquet",
    "append_to_store",
    "forward",
    "post_result",
    "run_query",
    "slack_message",
]
