"""web3.py with an account that the node holds, as an agent would use it; with OWN_KEY, with a key of its own."""

import json
import os
import sys

from web3 import Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder

url, sender, to, wei = sys.argv[1:]
web3 = Web3(Web3.HTTPProvider(url))
if own := os.environ.get("OWN_KEY"):
    web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(own), layer=0)
try:
    transaction_hash = web3.eth.send_transaction({"from": sender, "to": to, "value": int(wei)})
    web3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=0.05)
    print(json.dumps({"hash": "0x" + bytes(transaction_hash).hex()}))
except Exception as error:  # whatever the library raises is what its user sees
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
