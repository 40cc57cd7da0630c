// Spends credits as an AgentPMT agent does: a session, a signed call, the balance.
// `node signer.mjs` binds the signature to the path; `node signer.mjs scoped` makes the older call,
// which names the product alone.
import { openSession, pathBoundBody, payloadLine, readBalance, signedBody } from "./agent.mjs";
import { env, invokePath, parameters, post, read, run } from "./common.mjs";

async function scopedCall(session) {
  const lines = ["action:invoke", `product:${env("TOOL")}`, payloadLine()];
  const body = await signedBody(session, lines, { parameters: parameters() });
  return post(fetch, `/api/external/tools/${env("TOOL")}/invoke`, body);
}

async function pathBoundCall(session) {
  return post(fetch, `/api${invokePath()}`, await pathBoundBody(session));
}

await run(
  async () => {
    const session = await openSession();
    const nonce = session.body.session_nonce;
    const call = process.argv[2] === "scoped" ? scopedCall : pathBoundCall;
    const invoke = await read(await call(nonce));
    return { session, invoke, balance: await readBalance(nonce) };
  },
  (steps) => Object.values(steps).every(({ status }) => status === 200),
);
