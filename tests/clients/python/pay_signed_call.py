"""A signed call of a wallet that is short of credits: `pay_signed_call.py [httpx|requests]`.

First without payment, then the same body with the x402 package, which pays that one call. The balance
after it.
"""

import agent
import x402_client
from common import invoke_path, paid, run


def script():
    session = agent.open_session()["body"]["session_nonce"]
    body = agent.path_bound_body(session)
    path = f"/api{invoke_path()}"
    return {
        "refused": agent.post(path, body),
        "invoke": x402_client.post(path, body),
        "balance": agent.read_balance(session),
    }


def held(steps):
    refused, invoke, balance = steps["refused"], steps["invoke"], steps["balance"]
    return refused["status"] == 402 and paid(invoke) and balance["status"] == 200


run(script, held)
