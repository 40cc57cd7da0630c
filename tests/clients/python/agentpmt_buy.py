"""Buys credits with the payment that the AgentPMT signer builds.

`scheme` and `network` at the top in place of `accepted`, lower-case addresses, half an hour of
validity, the header X-PAYMENT (or the one that HEADER names), and a request_id that the first request
did not have.
"""

import base64
import json
import secrets
import time
import uuid

import requests
from common import ACCOUNT, PURCHASE_PATH, URL, env, paid, purchase_body, read, run

TYPES = {
    "TransferWithAuthorization": [
        {"name": "from", "type": "address"},
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "validAfter", "type": "uint256"},
        {"name": "validBefore", "type": "uint256"},
        {"name": "nonce", "type": "bytes32"},
    ]
}


def payment(offer):
    message = {
        "from": ACCOUNT.address.lower(),
        "to": offer["payTo"].lower(),
        "value": int(offer["amount"]),
        "validAfter": 0,
        "validBefore": int(time.time()) + 1800,
        "nonce": "0x" + secrets.token_hex(32),
    }
    domain = {
        "name": offer["extra"]["name"],
        "version": offer["extra"]["version"],
        "chainId": int(offer["network"].split(":")[1]),
        "verifyingContract": offer["asset"].lower(),
    }
    signature = ACCOUNT.sign_typed_data(domain, TYPES, message).signature.to_0x_hex()
    authorization = {name: str(value) for name, value in message.items()}
    return {
        "x402Version": 2,
        "scheme": "exact",
        "network": offer["network"],
        "payload": {"signature": signature, "authorization": authorization},
    }


def script():
    quote = requests.post(URL + PURCHASE_PATH, json=purchase_body(), timeout=30)
    required = json.loads(base64.b64decode(quote.headers["PAYMENT-REQUIRED"]))
    header = base64.b64encode(json.dumps(payment(required["accepts"][0])).encode()).decode()
    body = {**purchase_body(), "request_id": f"purchase-{uuid.uuid4()}"}
    headers = {env("HEADER", "X-PAYMENT"): header}
    return read(requests.post(URL + PURCHASE_PATH, json=body, headers=headers, timeout=30))


run(script, paid)
