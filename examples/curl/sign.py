"""What curl cannot do: sign with the wallet's key.

sign.py address    prints the wallet's address
sign.py message    signs the message on standard input (EIP-191)
sign.py payment    turns a PAYMENT-REQUIRED header on standard input into a PAYMENT-SIGNATURE header
"""

import base64
import json
import os
import secrets
import sys
import time
from pathlib import Path

from eth_account import Account
from eth_account.messages import encode_defunct

account = Account.from_key(Path(os.environ["COUNTERFOIL_KEY_FILE"]).read_text().strip())


def payment(header):
    offer = json.loads(base64.b64decode(header))["accepts"][0]
    authorization = {
        "from": account.address,
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
    payload = {
        "signature": signed.signature.to_0x_hex(),
        "authorization": {name: str(value) for name, value in authorization.items()},
    }
    document = {"x402Version": 2, "accepted": offer, "payload": payload}
    return base64.b64encode(json.dumps(document).encode()).decode()


match sys.argv[1:]:
    case ["address"]:
        print(account.address.lower())
    case ["message"]:
        print(account.sign_message(encode_defunct(text=sys.stdin.read())).signature.to_0x_hex())
    case ["payment"]:
        print(payment(sys.stdin.read()))
    case _:
        sys.exit(__doc__)
