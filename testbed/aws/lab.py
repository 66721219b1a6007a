"""The settings: keys, roles, policies, faults. The file is read again whenever it has changed."""

import json
import os
import secrets
import threading


class Lab:
    """The settings as they are now, and how often each fault has struck."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.RLock()
        self._stamp = None
        self._settings = {}
        self._calls = {}
        self.secret = kept(os.path.join(os.path.dirname(path), "secret"))

    def __getitem__(self, name):
        return self._now()[name]

    def _now(self):
        with self._lock:
            stat = os.stat(self._path)
            # A file that replaced another may carry the same time; it has another number.
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self._stamp:
                before = self._settings
                with open(self._path, encoding="utf-8") as file:
                    self._settings = json.load(file)
                self._stamp = stamp
                if self._settings["faults"] != before.get("faults"):
                    self._calls = {}
            return self._settings

    def arn(self, service, resource):
        """The ARN of something in this account; IAM and STS know no regions."""
        region = "" if service in ("iam", "sts") else self["region"]
        return f"arn:aws:{service}:{region}:{self['account']}:{resource}"

    def fault(self, suits):
        """The fault whose turn it is for a call, if there is one: after `after` calls, `count` times."""
        with self._lock:
            for place, fault in enumerate(self["faults"]):
                if not suits(fault["action"]):
                    continue
                calls = self._calls[place] = self._calls.get(place, 0) + 1
                after = fault.get("after", 0)
                if after < calls <= after + fault.get("count", 1):
                    return fault
        return None


def kept(path):
    """A secret that outlives a restart: sessions and registry passwords are sealed with it."""
    if not os.path.exists(path):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    with open(path, "rb") as file:
        return file.read()
