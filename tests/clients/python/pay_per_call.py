"""Pays one action directly with the x402 package: `pay_per_call.py [httpx|requests]`.

The body is the bare parameters; no credits are touched.
"""

from common import invoke_path, paid, parameters, run
from x402_client import post

run(lambda: post(f"/api{invoke_path()}", parameters()), paid)
