// Spends credits as an AgentPMT agent does: a session, a signed call, the balance. viem signs.
// `node signer.mjs` binds the signature to the path; `node signer.mjs scoped` makes the older call,
// which names the product alone.
import { createHash, randomUUID } from "node:crypto";
import { account, env, invokePath, parameters, post, read, run } from "./common.mjs";

const scoped = process.argv[2] === "scoped";
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

const sha256 = (text) => createHash("sha256").update(text, "utf8").digest("hex");

async function signedPost(path, session, lines, extra = {}) {
  const request_id = `request-${randomUUID()}`;
  const message = [
    "agentpmt-external",
    `wallet:${wallet}`,
    `session:${session}`,
    `request:${request_id}`,
    ...lines,
  ].join("\n");
  const signature = await account.signMessage({ message });
  const body = { wallet_address: wallet, session_nonce: session, request_id, signature, ...extra };
  return read(await post(fetch, path, body));
}

await run(
  async () => {
    const session = await read(
      await post(fetch, "/api/external/auth/session", { wallet_address: wallet }),
    );
    const nonce = session.body.session_nonce;

    const payload = `payload:${sha256(canonicalJson(parameters()))}`;
    const call = { parameters: parameters() };
    const invoke = scoped
      ? await signedPost(
          `/api/external/tools/${env("TOOL")}/invoke`,
          nonce,
          ["action:invoke", `product:${env("TOOL")}`, payload],
          call,
        )
      : await signedPost(
          `/api${invokePath()}`,
          nonce,
          ["method:POST", `path:${invokePath()}`, payload],
          call,
        );

    const balance = await signedPost("/api/external/credits/balance", nonce, [
      "action:balance",
      "product:-",
      "payload:",
    ]);
    return { session, invoke, balance };
  },
  (steps) => Object.values(steps).every(({ status }) => status === 200),
);
