"""Which names hold something about a person, or a secret; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = ["is_person", "is_personal", "is_personal_name", "is_secret"]

# fmt: off
# written without case and signs, and without PostHog's prefixes: `$initial_geoip_postal_code`, `distinctId`
_PERSONAL: Final = frozenset(
    {
        "address", "alias", "avatar", "birthdate", "birthday", "dateofbirth", "dob", "deviceid", "distinctid",
        "distinctids", "displayname", "email", "emailaddress", "emails", "fax", "firstname", "fullname", "givenname",
        "familyname", "gravatar", "ip", "ipaddress", "clientip", "lastname", "latitude", "login", "longitude", "mail",
        "middlename", "mobile", "mobilenumber", "nickname", "phone", "phonenumber", "postalcode", "postcode",
        "search", "ssn", "streetaddress", "street", "surname", "tel", "telephone", "userid", "username", "zip",
        "zipcode"
    }
)
_PERSONAL_ENDS: Final = ("email", "phone", "distinctid", "username", "firstname", "lastname", "fullname", "ipaddress")
_SECRET: Final = frozenset(
    {
        "accesstoken", "apikey", "apitoken", "authorization", "awsaccesskeyid", "clientsecret", "cookie",
        "credential", "keypairid", "password", "passwd", "personalapikey", "projectapikey", "projecttoken",
        "proxyauthorization", "refreshtoken", "secret", "secretapitoken", "secrettoken", "securitytoken", "setcookie",
        "sig", "signature", "signingsecret", "token", "xapikey", "xamzcredential", "xamzsecuritytoken",
        "xamzsignature", "xgoogcredential", "xgoogsignature"
    }
)
# fmt: on
_PREFIX = re.compile(r"^(?:initial|geoip)+")
_SIGNS = re.compile(r"[^a-z\d]+")


def _normal(name: str) -> str:
    return _PREFIX.sub("", _SIGNS.sub("", name.lower()))


@lru_cache(maxsize=10_000)
def is_personal(name: str) -> bool:
    """Return whether a property, column or parameter of this name is about a person.

    `name` alone is not: events, properties and projects have one too; see `is_person`.
    """
    plain = _normal(name)
    return plain in _PERSONAL or plain.endswith(_PERSONAL_ENDS)


def is_personal_name(text: str) -> bool:
    """Return whether a text is itself such a name, as the key in `JSONExtractString(properties, 'email')`."""
    return _normal(text) in _PERSONAL


@lru_cache(maxsize=10_000)
def is_secret(name: str) -> bool:
    """Return whether a field, header or parameter of this name holds a secret."""
    return _normal(name) in _SECRET


def is_person(document: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a person or a user, so that its `name` and `properties` are about one."""
    return "distinct_ids" in document or "is_identified" in document or {"distinct_id", "email"} <= document.keys()
