// The x402 foundation's facilitator, unmodified, behind the three routes that x402 gives it. RPC_URL is
// its node, PRIVATE_KEY pays its gas. Prints where it listens, then a line for each settlement, and
// ends with its standard input.
import { createServer } from "node:http";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { createWalletClient, http, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";

const account = privateKeyToAccount(process.env.PRIVATE_KEY);
const client = createWalletClient({
  account,
  chain: baseSepolia,
  transport: http(process.env.RPC_URL),
  pollingInterval: 50,
}).extend(publicActions);

const signer = toFacilitatorEvmSigner({ ...client, address: account.address });
const facilitator = new x402Facilitator().register("eip155:84532", new ExactEvmScheme(signer));

async function answer(request) {
  if (request.url === "/supported") return facilitator.getSupported();
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const { paymentPayload, paymentRequirements } = JSON.parse(Buffer.concat(pieces).toString());
  if (request.url === "/verify") return facilitator.verify(paymentPayload, paymentRequirements);
  const settled = await facilitator.settle(paymentPayload, paymentRequirements);
  console.log(JSON.stringify(settled));
  return settled;
}

const server = createServer(async (request, response) => {
  try {
    const document = JSON.stringify(await answer(request));
    response.writeHead(200, { "Content-Type": "application/json" }).end(document);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
process.stdin.on("end", () => process.exit()).resume();
