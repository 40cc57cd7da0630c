// The foundation's client as its README sets it up: every default, the spending limit among them.
// The argument `v1` takes the client of x402 version 1, and URLs that ask for offers in it. That one
// pays ten cents at most, unless MAX_VALUE, in base units, says otherwise.
import { wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { ExactEvmScheme } from "@x402/evm";
import { decodeXPaymentResponse, wrapFetchWithPayment } from "x402-fetch";
import { account, read } from "./common.mjs";

const isVersionOne = process.argv[2] === "v1";
// With a node of its own, the client signs what it needs to pay without gas.
const options = process.env.RPC_URL && { rpcUrl: process.env.RPC_URL };
const maxValue = process.env.MAX_VALUE && BigInt(process.env.MAX_VALUE);

export const fetchWithPayment = isVersionOne
  ? wrapFetchWithPayment(fetch, account, maxValue)
  : wrapFetchWithPaymentFromConfig(fetch, {
      schemes: [{ network: "eip155:*", client: new ExactEvmScheme(account, options) }],
    });

/** The path, asking for offers that the client understands. */
export const offering = (path) => (isVersionOne ? `${path}?x402Version=1` : path);

/** An answer to a payment, each version's header read with its own decoder. */
export const readPaid = (response) =>
  isVersionOne ? read(response, "X-PAYMENT-RESPONSE", decodeXPaymentResponse) : read(response);
