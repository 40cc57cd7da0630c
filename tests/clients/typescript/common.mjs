// What the scripts share: their input, and the one JSON line that they print. No payment logic.
import { decodePaymentResponseHeader } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";

/** The variable's value; exits with status 2 when it is missing and has no default. */
export function env(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

export const url = env("COUNTERFOIL_URL").replace(/\/$/, "");
export const account = privateKeyToAccount(env("PRIVATE_KEY"));
export const purchasePath = "/api/external/credits/purchase";

export function purchaseBody() {
  return {
    wallet_address: account.address,
    credits: Number(env("CREDITS", "100")),
    payment_method: "x402",
  };
}

export function invokePath() {
  return `/external/tools/${env("TOOL")}/actions/${env("ACTION")}/invoke`;
}

export function parameters() {
  return JSON.parse(env("PARAMETERS", '{"place":"Lisbon"}'));
}

export function post(fetcher, path, body, headers = {}) {
  return fetcher(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/** Status, parsed body and decoded PAYMENT-RESPONSE of an answer. */
export async function read(
  response,
  name = "PAYMENT-RESPONSE",
  decode = decodePaymentResponseHeader,
) {
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = text;
  }
  const header = response.headers.get(name);
  return {
    status: response.status,
    body,
    payment_response: header === null ? null : decode(header),
  };
}

/** Prints what `script` returns; the exit status says whether `held` is true of it. */
export async function run(script, held) {
  try {
    const result = await script();
    console.log(JSON.stringify(result));
    process.exitCode = held(result) ? 0 : 1;
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
    process.exitCode = 1;
  }
}

export const paid = ({ status, payment_response }) =>
  status === 200 && payment_response?.success === true;
