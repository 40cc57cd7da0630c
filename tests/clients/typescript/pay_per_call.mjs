// Pays one action directly with @x402/fetch, or x402-fetch: the body is the bare parameters, no credits
// are touched.
import { invokePath, paid, parameters, post, run } from "./common.mjs";
import { fetchWithPayment, offering, readPaid } from "./x402.mjs";

const path = offering(`/api${invokePath()}`);
await run(async () => readPaid(await post(fetchWithPayment, path, parameters())), paid);
