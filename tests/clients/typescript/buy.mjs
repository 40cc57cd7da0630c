// Buys credits with @x402/fetch.
import { paid, post, purchaseBody, purchasePath, read, run } from "./common.mjs";
import { fetchWithPayment } from "./x402.mjs";

await run(async () => read(await post(fetchWithPayment, purchasePath, purchaseBody())), paid);
