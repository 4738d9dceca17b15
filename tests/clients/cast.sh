#!/usr/bin/env bash
# cast with an account that the node holds. COUNTERSIGN_CAST names the native binary; npm's wrapper script
# exits 0 on failure.
set -uo pipefail
url=$1 from=$2 to=$3 wei=$4
said=$("$COUNTERSIGN_CAST" send --unlocked --rpc-url "$url" --from "$from" --value "${wei}wei" --json "$to" 2>&1)
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
