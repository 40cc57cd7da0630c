"""Buys credits over x402, spends some with a signed call, reads the balance."""

import base64
import hashlib
import json
import os
import secrets
import time
import uuid
from pathlib import Path

import requests
from eth_account import Account
from eth_account.messages import encode_defunct

URL = os.environ.get("COUNTERFOIL_URL", "http://127.0.0.1:4020")
DEMO_KEY = Path(__file__).resolve().parents[2] / ".demo" / "agent.key"
KEY_FILE = Path(os.environ.get("COUNTERFOIL_KEY_FILE", DEMO_KEY))

account = Account.from_key(KEY_FILE.read_text().strip())
wallet = account.address.lower()


def post(path, body, expect=200, **headers):
    response = requests.post(URL + path, json=body, headers=headers, timeout=30)
    if response.status_code != expect:
        raise SystemExit(f"{response.status_code} {response.text}")
    return response


def payment(offer):
    """Signs the transfer that an offer asks for (EIP-3009); whoever settles it pays the gas."""
    authorization = {
        "from": wallet,
        "to": offer["payTo"],
        "value": int(offer["amount"]),
        "validAfter": 0,
        "validBefore": int(time.time()) + offer["maxTimeoutSeconds"],
        "nonce": "0x" + secrets.token_hex(32),
    }
    domain = {
        "name": offer["extra"]["name"],
        "version": offer["extra"]["version"],
        "chainId": int(offer["network"].removeprefix("eip155:")),
        "verifyingContract": offer["asset"],
    }
    solidity_types = ("address", "address", "uint256", "uint256", "uint256", "bytes32")
    types = [{"name": n, "type": t} for n, t in zip(authorization, solidity_types)]
    signed = account.sign_typed_data(domain, {"TransferWithAuthorization": types}, authorization)
    return {
        "x402Version": 2,
        "accepted": offer,
        "payload": {
            "signature": signed.signature.to_0x_hex(),
            "authorization": {name: str(value) for name, value in authorization.items()},
        },
    }


def signed(session, *lines):
    """The part of a signed body that proves who is asking; `lines` say what for."""
    request = str(uuid.uuid4())
    head = ["agentpmt-external", f"wallet:{wallet}", f"session:{session}", f"request:{request}"]
    message = encode_defunct(text="\n".join([*head, *lines]))
    return {
        "wallet_address": wallet,
        "session_nonce": session,
        "request_id": request,
        "signature": account.sign_message(message).signature.to_0x_hex(),
    }


# 1. Ask for 100 credits, one dollar; the answer is 402 and says how to pay.
order = {"wallet_address": wallet, "credits": 100, "payment_method": "x402"}
quote = post("/api/external/credits/purchase", order, expect=402)
offer = json.loads(base64.b64decode(quote.headers["PAYMENT-REQUIRED"]))["accepts"][0]
print(f"402: pay {offer['amount']} base units of {offer['asset']} on {offer['network']}")

# 2. Ask again, with the payment.
header = base64.b64encode(json.dumps(payment(offer)).encode()).decode()
purchase = post("/api/external/credits/purchase", order, **{"PAYMENT-SIGNATURE": header}).json()
print(f"bought {purchase['credits_purchased']} credits in {purchase['transaction']}")

# 3. Open a session.
session = post("/api/external/auth/session", {"wallet_address": wallet}).json()
nonce = session["session_nonce"]
print(f"opened a session for {session['expires_in']} seconds")

# 4. Call the tool. The signature covers the path and the hash of the parameters.
path = "/external/tools/weather/actions/forecast/invoke"
parameters = {"place": "Lisbon"}
canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
payload = hashlib.sha256(canonical.encode()).hexdigest()
proof = signed(nonce, "method:POST", f"path:{path}", f"payload:{payload}")
call = post(f"/api{path}", {**proof, "parameters": parameters}).json()
print(f"called weather/forecast for {call['charged_credits']} credits:", call["response"]["data"])

# 5. Read the balance.
proof = signed(nonce, "action:balance", "product:-", "payload:")
balance = post("/api/external/credits/balance", proof).json()
print(f"{balance['available_credits']} credits left, {balance['balance_usd']} USD")
