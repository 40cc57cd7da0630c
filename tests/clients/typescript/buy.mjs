// Buys credits with @x402/fetch, or x402-fetch.
import { paid, post, purchaseBody, purchasePath, run } from "./common.mjs";
import { fetchWithPayment, offering, readPaid } from "./x402.mjs";

const path = offering(purchasePath);
await run(async () => readPaid(await post(fetchWithPayment, path, purchaseBody())), paid);
