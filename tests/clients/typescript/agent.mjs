// The side of an AgentPMT agent: sessions and signed bodies. viem signs.
import { createHash, randomUUID } from "node:crypto";
import { account, invokePath, parameters, post, read } from "./common.mjs";

const wallet = account.address.toLowerCase();

/** Object keys sorted, recursively; no white space; raw UTF-8. */
function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${members.join(",")}}`;
}

/** The message's line for the parameters. */
export function payloadLine() {
  const json = canonicalJson(parameters());
  return `payload:${createHash("sha256").update(json, "utf8").digest("hex")}`;
}

export async function openSession() {
  return read(await post(fetch, "/api/external/auth/session", { wallet_address: wallet }));
}

/** A body that proves who is asking; the lines say what for. */
export async function signedBody(session, lines, extra = {}) {
  const request_id = `request-${randomUUID()}`;
  const message = [
    "agentpmt-external",
    `wallet:${wallet}`,
    `session:${session}`,
    `request:${request_id}`,
    ...lines,
  ].join("\n");
  const signature = await account.signMessage({ message });
  return { wallet_address: wallet, session_nonce: session, request_id, signature, ...extra };
}

/** The body of a call whose signature names the path. */
export function pathBoundBody(session) {
  const lines = ["method:POST", `path:${invokePath()}`, payloadLine()];
  return signedBody(session, lines, { parameters: parameters() });
}

export async function readBalance(session) {
  const body = await signedBody(session, ["action:balance", "product:-", "payload:"]);
  return read(await post(fetch, "/api/external/credits/balance", body));
}
