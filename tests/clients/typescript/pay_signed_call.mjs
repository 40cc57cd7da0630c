// A signed call of a wallet that is short of credits: first with plain fetch, then the same body with
// @x402/fetch, or x402-fetch, which pays that one call. The balance after it.
import { openSession, pathBoundBody, readBalance } from "./agent.mjs";
import { invokePath, paid, post, read, run } from "./common.mjs";
import { fetchWithPayment, offering, readPaid } from "./x402.mjs";

await run(
  async () => {
    const session = (await openSession()).body.session_nonce;
    const body = await pathBoundBody(session);
    const path = offering(`/api${invokePath()}`);
    const refused = await read(await post(fetch, path, body));
    const invoke = await readPaid(await post(fetchWithPayment, path, body));
    return { refused, invoke, balance: await readBalance(session) };
  },
  ({ refused, invoke, balance }) =>
    refused.status === 402 && paid(invoke) && balance.status === 200,
);
