"""Spends credits as an AgentPMT agent does: a session, a signed call, the balance. eth-account signs.

`signer.py` binds the signature to the path; `signer.py scoped` makes the older call, which names the
product alone.
"""

import hashlib
import json
import sys
import uuid

import requests
from common import ACCOUNT, URL, env, invoke_path, parameters, read, run
from eth_account.messages import encode_defunct

SCOPED = sys.argv[1:] == ["scoped"]
WALLET = ACCOUNT.address.lower()


def post(path, body):
    return read(requests.post(URL + path, json=body, timeout=30))


def payload_hash(value):
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def signed_post(path, session, lines, **extra):
    request_id = f"request-{uuid.uuid4()}"
    message = "\n".join(
        ["agentpmt-external", f"wallet:{WALLET}", f"session:{session}", f"request:{request_id}", *lines]
    )
    signature = ACCOUNT.sign_message(encode_defunct(text=message)).signature.to_0x_hex()
    body = {
        "wallet_address": WALLET,
        "session_nonce": session,
        "request_id": request_id,
        "signature": signature,
        **extra,
    }
    return post(path, body)


def script():
    session = post("/api/external/auth/session", {"wallet_address": WALLET})
    nonce = session["body"]["session_nonce"]

    payload = f"payload:{payload_hash(parameters())}"
    if SCOPED:
        path = f"/external/tools/{env('TOOL')}/invoke"
        lines = ["action:invoke", f"product:{env('TOOL')}", payload]
    else:
        path = invoke_path()
        lines = ["method:POST", f"path:{path}", payload]
    invoke = signed_post(f"/api{path}", nonce, lines, parameters=parameters())

    lines = ["action:balance", "product:-", "payload:"]
    balance = signed_post("/api/external/credits/balance", nonce, lines)
    return {"session": session, "invoke": invoke, "balance": balance}


run(script, lambda steps: all(step["status"] == 200 for step in steps.values()))
