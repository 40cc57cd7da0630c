"""What the scripts share: their input, and the one JSON line that they print. No payment logic."""

import base64
import json
import os
import sys

from eth_account import Account


def env(name, fallback=None):
    """The variable's value; exits with status 2 when it is missing and has no default."""
    value = os.environ.get(name, fallback)
    if value is None:
        print(f"{name} is not set", file=sys.stderr)
        sys.exit(2)
    return value


URL = env("COUNTERFOIL_URL").rstrip("/")
ACCOUNT = Account.from_key(env("PRIVATE_KEY"))
PURCHASE_PATH = "/api/external/credits/purchase"


def purchase_body():
    return {
        "wallet_address": ACCOUNT.address,
        "credits": int(env("CREDITS", "100")),
        "payment_method": "x402",
    }


def invoke_path():
    return f"/external/tools/{env('TOOL')}/actions/{env('ACTION')}/invoke"


def parameters():
    return json.loads(env("PARAMETERS", '{"place":"Lisbon"}'))


def read(response):
    """Status, parsed body and decoded PAYMENT-RESPONSE of an answer of httpx or requests."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    header = response.headers.get("PAYMENT-RESPONSE")
    return {
        "status": response.status_code,
        "body": body,
        "payment_response": None if header is None else json.loads(base64.b64decode(header)),
    }


def paid(result):
    return result["status"] == 200 and (result["payment_response"] or {}).get("success") is True


def run(script, held):
    """Prints what `script` returns; the exit status says whether `held` is true of it."""
    try:
        result = script()
        status = 0 if held(result) else 1
    except Exception as error:  # whatever a client raises is this script's result
        result, status = {"error": f"{type(error).__name__}: {error}"}, 1
    print(json.dumps(result))
    sys.exit(status)
