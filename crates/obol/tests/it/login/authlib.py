# An application on authlib: each function is one scenario, run by its name.

import html
import os
import re
import sys
from urllib.parse import urljoin

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwk, jwt

ISSUER = os.environ["ISSUER"]
CALLBACK = "https://app.example/callback"
SECRET = "a secret with %, & and +"
ANA = {"login": "ana@example.com", "password": os.environ["PASSWORD"]}
KNOWN = requests.get(ISSUER + "/.well-known/openid-configuration").json()


class Person:
    """Somebody who follows redirects, reads pages and fills in forms, up to where the application would be."""

    def __init__(self):
        self.browser = requests.Session()

    def go(self, url, method="GET", data=None):
        for _ in range(20):
            if url.startswith(CALLBACK):
                return url, None
            answer = self.browser.request(method, url, data=data, allow_redirects=False)
            if "location" not in answer.headers:
                return url, answer.text
            url, method, data = urljoin(url, answer.headers["location"]), "GET", None
        raise AssertionError("too many redirects")

    def follow(self, page, name):
        url, text = page
        link = re.search(r'href="([^"]+)">(?:<svg.*?</svg>)?<span>%s<' % name, text)
        return self.go(urljoin(url, html.unescape(link[1])))

    def submit(self, page, **fields):
        url, text = page
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text)
        data = {name: html.unescape(value) for name, value in hidden} | fields
        action = html.unescape(re.search(r'action="([^"]+)"', text)[1])
        return self.go(urljoin(url, action), "POST", data)


def session(**more):
    # authlib writes a secret into the header as it is, where RFC 6749 section 2.3.1 wants it encoded.
    how = {"token_endpoint_auth_method": "client_secret_post", "revocation_endpoint_auth_method": "client_secret_post"}
    return OAuth2Session("web-app", SECRET, redirect_uri=CALLBACK, code_challenge_method="S256", **how, **more)


def checked(id_token, nonce=None):
    keys = jwk.KeySet.import_key_set(requests.get(KNOWN["jwks_uri"]).json())
    token = jwt.decode(id_token, keys, algorithms=["RS256"])
    nonce = {"nonce": {"essential": True, "value": nonce}} if nonce else {}
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": "web-app"},
        exp={"essential": True}, iat={"essential": True}, **nonce)
    rules.validate(token.claims)
    return token.claims


def signed_in():
    client = session(scope="openid email offline_access")
    verifier, nonce = generate_token(48), generate_token()
    url, state = client.create_authorization_url(KNOWN["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    person = Person()
    page = person.submit(person.follow(person.go(url), "Email"), **ANA)
    answer, _ = person.submit(page, approval="approve")
    token = client.fetch_token(
        KNOWN["token_endpoint"], authorization_response=answer, state=state, code_verifier=verifier)
    assert checked(token["id_token"], nonce)["email"] == ANA["login"]
    return client, token


def user_info(client):
    return client.get(KNOWN["userinfo_endpoint"])


def a_session_signs_in_and_refreshes():
    client, token = signed_in()
    assert user_info(client).json()["email"] == ANA["login"]
    again = client.refresh_token(KNOWN["token_endpoint"], refresh_token=token["refresh_token"])
    assert again["refresh_token"] != token["refresh_token"]
    assert user_info(client).status_code == 200


def a_device_is_connected():
    client = session()
    asked = {"scope": "openid email", "client_id": "web-app", "client_secret": SECRET}
    codes = requests.post(KNOWN["device_authorization_endpoint"], data=asked).json()
    person = Person()
    page = person.go(codes["verification_uri_complete"])
    page = person.submit(page, user_code=codes["user_code"])
    page = person.submit(person.follow(page, "Email"), **ANA)
    _, text = person.submit(page, approval="approve")
    assert "Your device is connected" in text
    token = client.fetch_token(
        KNOWN["token_endpoint"], grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=codes["device_code"])
    assert checked(token["id_token"])["email"] == ANA["login"]


def a_token_is_revoked():
    client, token = signed_in()
    answer = client.revoke_token(KNOWN["revocation_endpoint"], token=token["refresh_token"])
    assert answer.status_code == 200
    assert user_info(client).status_code == 401


globals()[sys.argv[1]]()
print("passed")
