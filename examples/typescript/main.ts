// Buys credits over x402, spends some with a signed call, reads the balance.
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ExactEvmScheme } from "@x402/evm";
import { wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";

const url = process.env.COUNTERFOIL_URL ?? "http://127.0.0.1:4020";
const keyFile =
  process.env.COUNTERFOIL_KEY_FILE ?? new URL("../../.demo/agent.key", import.meta.url);

const account = privateKeyToAccount(readFileSync(keyFile, "utf8").trim() as `0x${string}`);
const wallet = account.address.toLowerCase();

// A fetch that answers a 402 by paying for it. At most one dollar a payment unless it is told otherwise.
const payingFetch = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: "eip155:*", client: new ExactEvmScheme(account) }],
});

async function post(path: string, body: object, fetcher: typeof fetch = fetch): Promise<any> {
  const response = await fetcher(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

/** JSON with sorted keys and no white space, so that both sides hash the same bytes. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/** The part of a signed body that proves who is asking; `lines` say what for. */
async function signed(session_nonce: string, lines: string[]) {
  const request_id = randomUUID();
  const message = [
    "agentpmt-external",
    `wallet:${wallet}`,
    `session:${session_nonce}`,
    `request:${request_id}`,
    ...lines,
  ].join("\n");
  const signature = await account.signMessage({ message });
  return { wallet_address: wallet, session_nonce, request_id, signature };
}

// 1. Buy 100 credits: one dollar.
const purchase = await post(
  "/api/external/credits/purchase",
  { wallet_address: wallet, credits: 100, payment_method: "x402" },
  payingFetch,
);
console.log(`bought ${purchase.credits_purchased} credits in ${purchase.transaction}`);

// 2. Open a session.
const { session_nonce, expires_in } = await post("/api/external/auth/session", {
  wallet_address: wallet,
});
console.log(`opened a session for ${expires_in} seconds`);

// 3. Call the tool. The signature covers the path and the hash of the parameters.
const path = "/external/tools/weather/actions/forecast/invoke";
const parameters = { place: "Lisbon" };
const payload = createHash("sha256").update(canonicalJson(parameters)).digest("hex");
const call = await post(`/api${path}`, {
  ...(await signed(session_nonce, ["method:POST", `path:${path}`, `payload:${payload}`])),
  parameters,
});
console.log(`called weather/forecast for ${call.charged_credits} credits:`, call.response.data);

// 4. Read the balance.
const balance = await post(
  "/api/external/credits/balance",
  await signed(session_nonce, ["action:balance", "product:-", "payload:"]),
);
console.log(`${balance.available_credits} credits left, ${balance.balance_usd} USD`);
