"""The server, and the tokens of a job without one.

usage: python -m aws serve PORT LAB          LAB is the settings file
       python -m aws token LAB [CLAIM=VALUE]...    an identity token; aud=, ttl=-5 for one that ended, key=other for
                                                   a foreign key, key=unpublished for one that GitHub does not show
       python -m aws job LAB [CLAIM=VALUE]...      the variables by which a job asks for one, as lines NAME=VALUE
"""

import os
import sys

from . import oidc, server


def main(words):
    if len(words) < 2:
        sys.exit(__doc__)
    if words[0] == "serve":
        return server.serve(int(words[1]), words[2])
    key = oidc.key(os.path.dirname(words[1]))
    given = dict(pair.split("=", 1) for pair in words[2:])
    if words[0] == "job":
        for name, value in oidc.job_variables(key, given).items():
            print(f"{name}={value}")
        return None
    key, given = oidc.signer_of(key, given)
    print(oidc.minted(key, oidc.claims(given, given.pop("aud", "sts.amazonaws.com"))))
    return None


main(sys.argv[1:])
