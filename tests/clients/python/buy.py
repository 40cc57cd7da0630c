"""Buys credits with the x402 package: `buy.py [httpx|requests]`."""

from common import PURCHASE_PATH, paid, purchase_body, run
from x402_client import post

run(lambda: post(PURCHASE_PATH, purchase_body()), paid)
