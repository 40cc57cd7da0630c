// Pays one action directly with @x402/fetch: the body is the bare parameters, no credits are touched.
import { invokePath, paid, parameters, post, read, run } from "./common.mjs";
import { fetchWithPayment } from "./x402.mjs";

await run(async () => read(await post(fetchWithPayment, `/api${invokePath()}`, parameters())), paid);
