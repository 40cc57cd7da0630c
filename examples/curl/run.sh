#!/usr/bin/env bash
# Buys credits over x402, spends some with a signed call, reads the balance.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
url=${COUNTERFOIL_URL:-http://127.0.0.1:4020}
export COUNTERFOIL_KEY_FILE=${COUNTERFOIL_KEY_FILE:-$here/../../.demo/agent.key}

sign() { python3 "$here/sign.py" "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# post PATH BODY [CURL OPTION…]: prints the answer; stops the script on any status but 2xx.
post() {
  local answer
  answer=$(curl -sS --fail-with-body "$url$1" -H 'Content-Type: application/json' -d "$2" "${@:3}") ||
    { echo "$answer" >&2; return 1; }
  printf '%s' "$answer"
}

# proof LINE…: the part of a signed body that proves who is asking; the lines say what for.
proof() {
  local request signature
  request=$(date +%s)-$RANDOM$RANDOM
  signature=$(printf '%s' "$(printf '%s\n' agentpmt-external "wallet:$wallet" \
    "session:$session" "request:$request" "$@")" | sign message)
  printf '"wallet_address":"%s","session_nonce":"%s","request_id":"%s","signature":"%s"' \
    "$wallet" "$session" "$request" "$signature"
}

wallet=$(sign address)

# 1. Ask for 100 credits, one dollar; the answer is 402 and its header says how to pay.
order='{"wallet_address":"'$wallet'","credits":100,"payment_method":"x402"}'
required=$(curl -sS -o /dev/null -w '%header{payment-required}' "$url/api/external/credits/purchase" \
  -H 'Content-Type: application/json' -d "$order")
echo "402: $(base64 -d <<<"$required")"

# 2. Ask again, with the payment.
payment=$(sign payment <<<"$required")
purchase=$(post /api/external/credits/purchase "$order" -H "PAYMENT-SIGNATURE: $payment")
echo "bought: $purchase"

# 3. Open a session.
session=$(post /api/external/auth/session '{"wallet_address":"'$wallet'"}' | field session_nonce)
echo "session: $session"

# 4. Call the tool. The signature covers the path and the hash of the parameters, which are written as
#    canonical JSON here: keys sorted, no white space.
path=/external/tools/weather/actions/forecast/invoke
parameters='{"place":"Lisbon"}'
hash=$(printf '%s' "$parameters" | sha256sum | cut -d ' ' -f 1)
proof=$(proof method:POST "path:$path" "payload:$hash")
call=$(post "/api$path" "{$proof,\"parameters\":$parameters}")
echo "called: $call"

# 5. Read the balance.
proof=$(proof action:balance product:- payload:)
balance=$(post /api/external/credits/balance "{$proof}")
echo "credits left: $(field available_credits <<<"$balance")"
