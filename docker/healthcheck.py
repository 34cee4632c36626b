"""Exit 0 if the app answers /healthz, else 1. Talks to this machine itself, past any proxy."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("RALLREC_PORT") or 7860), timeout=4)
try:
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"/healthz does not answer: {error}")
if status != http.client.OK:
    sys.exit(f"/healthz answers {status}")
