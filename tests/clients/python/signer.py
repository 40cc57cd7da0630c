"""Spends credits as an AgentPMT agent does: a session, a signed call, the balance.

`signer.py` binds the signature to the path; `signer.py scoped` makes the older call, which names the
product alone.
"""

import sys

from agent import open_session, path_bound_body, payload_line, post, read_balance, signed_body
from common import env, invoke_path, parameters, run


def scoped_call(session):
    lines = ["action:invoke", f"product:{env('TOOL')}", payload_line()]
    body = signed_body(session, lines, parameters=parameters())
    return post(f"/api/external/tools/{env('TOOL')}/invoke", body)


def path_bound_call(session):
    return post(f"/api{invoke_path()}", path_bound_body(session))


def script():
    session = open_session()
    nonce = session["body"]["session_nonce"]
    call = scoped_call if sys.argv[1:] == ["scoped"] else path_bound_call
    return {"session": session, "invoke": call(nonce), "balance": read_balance(nonce)}


run(script, lambda steps: all(step["status"] == 200 for step in steps.values()))
