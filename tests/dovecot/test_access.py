"""Who may use a URL: the access identifiers of RFC 5092 and RFC 5593, and the time limit."""

from __future__ import annotations

import pytest

from testing.scene import MESSAGE, Scene

#: access identifier -> who may use it
ALLOWED = {
    "user+bob": {"bob"},
    "authuser": {"bob", "carol", "submitsrv", "streamsrv"},
    "anonymous": {"bob", "carol", "submitsrv", "streamsrv", "anonymous"},
    "submit+bob": {"submitsrv"},
    "stream": {"streamsrv"},
}

PEOPLE = ("bob", "carol", "submitsrv", "streamsrv", "anonymous")


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("access", ALLOWED)
def test_who_may_use_it(scene: Scene, access: str, person: str) -> None:
    url = scene.sign(scene.store(), access)
    session = scene.anonymous() if person == "anonymous" else scene.user(person)
    assert session.fetch_url(url) == (MESSAGE if person in ALLOWED[access] else None)


@pytest.mark.every_combination
@pytest.mark.parametrize(
    ("access", "person"),
    [("user+bob", "bob"), ("authuser", "carol"), ("submit+bob", "submitsrv"), ("stream", "streamsrv")],
)
def test_allowed(scene: Scene, access: str, person: str) -> None:
    assert scene.user(person).fetch_url(scene.sign(scene.store(), access)) == MESSAGE


@pytest.mark.every_combination
@pytest.mark.spoiled_by("anonymous-crashes")
def test_anonymous_login(scene: Scene) -> None:
    anonymous = scene.anonymous()
    stored = scene.store()
    assert anonymous.fetch_url(scene.sign(stored, "anonymous")) == MESSAGE
    assert anonymous.fetch_url(scene.sign(stored, "authuser")) is None
    assert anonymous.fetch_url(scene.sign(stored, "user+bob")) is None
    assert anonymous.fetch_url(scene.sign(stored, "anonymous")) == MESSAGE


@pytest.mark.every_combination
@pytest.mark.spoiled_by("anyone-is-the-user")
def test_another_users_url(scene: Scene) -> None:
    stored = scene.store()
    assert scene.user("carol").fetch_url(scene.sign(stored, "user+bob")) is None
    assert scene.user("carol").fetch_url(scene.sign(stored, "user+carol")) == MESSAGE


def test_anonymous_is_not_a_user_of_that_name(scene: Scene) -> None:
    assert scene.anonymous().fetch_url(scene.sign(scene.store(), "user+anonymous")) is None


def test_user_names_are_compared_without_case(scene: Scene) -> None:
    assert scene.user("bob").fetch_url(scene.sign(scene.store(), "user+BOB")) == MESSAGE


@pytest.mark.parametrize(
    ("access", "person"),
    [
        ("streaXYZ", "streamsrv"),
        ("streams", "streamsrv"),
        ("submitter+bob", "submitsrv"),
        ("stream+bob", "streamsrv"),
    ],
)
def test_applications_are_compared_whole(scene: Scene, access: str, person: str) -> None:
    stored = scene.store()
    assert scene.user(person).fetch_url(scene.sign(stored, access)) is None
    scene.works(stored, person)


@pytest.mark.every_combination
@pytest.mark.parametrize("expire", ["2099-12-31T23:59:59Z", "2099-12-31T23:59:59+05:30"])
def test_not_yet_expired(scene: Scene, expire: str) -> None:
    assert scene.user("bob").fetch_url(scene.sign(scene.store(), expire=expire)) == MESSAGE


@pytest.mark.every_combination
def test_expired(scene: Scene) -> None:
    stored = scene.store()
    url = scene.sign(stored, expire="2099-12-31T23:59:59Z").replace(b"2099", b"2019")
    assert scene.user("bob").fetch_url(url) is None
    assert scene.user("bob").fetch_url(scene.sign(stored)) == MESSAGE
