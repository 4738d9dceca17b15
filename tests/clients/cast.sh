#!/usr/bin/env bash
# cast with an account that the node holds; with OWN_KEY, with a key of its own. COUNTERSIGN_CAST names the native binary; npm's wrapper script
# exits 0 on failure.
set -uo pipefail
url=$1 from=$2 to=$3 wei=$4
signer=(--unlocked --from "$from")
[ -z "${OWN_KEY:-}" ] || signer=(--private-key "$OWN_KEY")
said=$("$COUNTERSIGN_CAST" send "${signer[@]}" --rpc-url "$url" --value "${wei}wei" --json "$to" 2>&1)
code=$?
said=${said//\\/\\\\}
said=${said//\"/\\\"}
said=${said//$'\n'/\\n}
if [ "$code" = 0 ]; then
    hash=$(printf '%s' "$said" | grep -o 'transactionHash[^0]*0x[0-9a-f]\{64\}' | grep -o '0x[0-9a-f]*' | head -n1)
    printf '{"hash": "%s"}\n' "$hash"
else
    printf '{"error": "%s"}\n' "$said"
fi
