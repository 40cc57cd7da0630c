"""The foundation's clients as its documentation sets them up: every default, the spending limit and
httpx's five seconds among them. `httpx` unless the first argument says `requests`."""

import asyncio
import sys

from common import ACCOUNT, URL, read
from x402 import x402Client, x402ClientSync
from x402.http.clients import x402_requests, x402HttpxClient
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact.register import register_exact_evm_client


async def _post_with_httpx(path, body):
    client = register_exact_evm_client(x402Client(), EthAccountSigner(ACCOUNT))
    async with x402HttpxClient(client) as http:
        return read(await http.post(URL + path, json=body))


def _post_with_requests(path, body):
    client = register_exact_evm_client(x402ClientSync(), EthAccountSigner(ACCOUNT))
    with x402_requests(client) as http:
        return read(http.post(URL + path, json=body))


def post(path, body):
    if sys.argv[1:] == ["requests"]:
        return _post_with_requests(path, body)
    return asyncio.run(_post_with_httpx(path, body))
