// Buys credits with the payment that the AgentPMT signer builds: `scheme` and `network` at the top in
// place of `accepted`, lower-case addresses, half an hour of validity, the header X-PAYMENT (or the
// one that HEADER names), and a request_id that the first request did not have.
import { randomBytes, randomUUID } from "node:crypto";
import { decodePaymentRequiredHeader } from "@x402/core/http";
import { account, env, paid, post, purchaseBody, purchasePath, read, run } from "./common.mjs";

const TransferWithAuthorization = [
  { name: "from", type: "address" },
  { name: "to", type: "address" },
  { name: "value", type: "uint256" },
  { name: "validAfter", type: "uint256" },
  { name: "validBefore", type: "uint256" },
  { name: "nonce", type: "bytes32" },
];

async function payment({ network, asset, amount, payTo, extra }) {
  const authorization = {
    from: account.address.toLowerCase(),
    to: payTo.toLowerCase(),
    value: amount,
    validAfter: "0",
    validBefore: String(Math.floor(Date.now() / 1000) + 1800),
    nonce: `0x${randomBytes(32).toString("hex")}`,
  };
  const signature = await account.signTypedData({
    domain: {
      name: extra.name,
      version: extra.version,
      chainId: Number(network.split(":")[1]),
      verifyingContract: asset.toLowerCase(),
    },
    types: { TransferWithAuthorization },
    primaryType: "TransferWithAuthorization",
    message: authorization,
  });
  return { x402Version: 2, scheme: "exact", network, payload: { signature, authorization } };
}

await run(async () => {
  const quote = await post(fetch, purchasePath, purchaseBody());
  const required = decodePaymentRequiredHeader(quote.headers.get("PAYMENT-REQUIRED") ?? "");
  const header = Buffer.from(JSON.stringify(await payment(required.accepts[0]))).toString("base64");
  const body = { ...purchaseBody(), request_id: `purchase-${randomUUID()}` };
  return read(await post(fetch, purchasePath, body, { [env("HEADER", "X-PAYMENT")]: header }));
}, paid);
