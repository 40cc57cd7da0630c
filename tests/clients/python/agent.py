"""The side of an AgentPMT agent: sessions and signed bodies. eth-account signs."""

import hashlib
import json
import uuid

import requests
from common import ACCOUNT, URL, invoke_path, parameters, read
from eth_account.messages import encode_defunct

WALLET = ACCOUNT.address.lower()


def post(path, body):
    return read(requests.post(URL + path, json=body, timeout=30))


def payload_line():
    """The message's line for the parameters."""
    canonical = json.dumps(parameters(), sort_keys=True, separators=(",", ":"))
    return f"payload:{hashlib.sha256(canonical.encode()).hexdigest()}"


def open_session():
    return post("/api/external/auth/session", {"wallet_address": WALLET})


def signed_body(session, lines, **extra):
    """A body that proves who is asking; the lines say what for."""
    request_id = f"request-{uuid.uuid4()}"
    message = "\n".join(
        ["agentpmt-external", f"wallet:{WALLET}", f"session:{session}", f"request:{request_id}", *lines]
    )
    signature = ACCOUNT.sign_message(encode_defunct(text=message)).signature.to_0x_hex()
    return {
        "wallet_address": WALLET,
        "session_nonce": session,
        "request_id": request_id,
        "signature": signature,
        **extra,
    }


def path_bound_body(session):
    """The body of a call whose signature names the path."""
    lines = ["method:POST", f"path:{invoke_path()}", payload_line()]
    return signed_body(session, lines, parameters=parameters())


def read_balance(session):
    lines = ["action:balance", "product:-", "payload:"]
    return post("/api/external/credits/balance", signed_body(session, lines))
