"""What STS makes of an identity token: its form, its provider, its signature, its time, its audience."""

import base64
import json
import threading
import time
import urllib.request

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .call import Refusal

# STS keeps a provider's keys for a while.
KEEP = 60
_keys = {}
_lock = threading.Lock()


def verified(lab, text):
    """The claims of a token that may be used in this account, and its provider without a scheme."""
    issuer = unverified(text, 1).get("iss", "")
    provider = issuer.removeprefix("https://")
    if provider not in lab["oidc_providers"]:
        raise invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    known = keys(issuer)
    if unverified(text, 0).get("kid") not in [key.kid for key in known.keys]:
        raise no_key()
    try:
        claims = jwt.decode(text, known, algorithms=["RS256"]).claims
    except (JoseError, ValueError) as wrong:
        said = "The token's signature is not valid for any key of the identity provider"
        raise invalid(said) from wrong
    now = int(time.time())
    if now >= claims.get("exp", 0):
        raise Refusal(
            "ExpiredTokenException",
            f"Token expired: current date/time {now} must be before the expiration date/time {claims.get('exp')}",
        )
    if claims.get("aud") not in lab["oidc_providers"][provider]:
        raise invalid("Incorrect token audience")
    return claims, provider


def unverified(text, part):
    """The head (0) or the claims (1) as they are written, to find out who says them and with which key."""
    try:
        payload = text.split(".")[part]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as wrong:
        raise invalid(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        ) from wrong


def keys(issuer):
    """The issuer's public keys, as everybody can read them."""
    with _lock:
        read_at, known = _keys.get(issuer, (0, None))
        if time.time() - read_at > KEEP:
            try:
                about = read(f"{issuer}/.well-known/openid-configuration")
                known = KeySet.import_key_set(read(about["jwks_uri"]))
            except OSError as wrong:
                raise no_key() from wrong
            _keys[issuer] = time.time(), known
        return known


def read(address):
    with urllib.request.urlopen(address, timeout=5) as answer:
        return json.load(answer)


def no_key():
    """The issuer does not answer, or does not publish this key. The two spaces are AWS's own."""
    return invalid(
        "Couldn't retrieve verification key from your identity provider,  please reference"
        " AssumeRoleWithWebIdentity documentation for requirements"
    )


def invalid(said):
    return Refusal("InvalidIdentityToken", said)
