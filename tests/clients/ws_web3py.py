"""web3.py over WebSocket, as an agent would use it that waits for what happens on the chain."""

import asyncio
import json
import sys

from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import AsyncWeb3, WebSocketProvider

url, sender, to, wei, *contract = sys.argv[1:]


async def hear(web3):
    """A head, and a log of the contract; and who has signed, as eth-account reads the signature."""
    heads = await web3.eth.subscribe("newHeads")
    logs = await web3.eth.subscribe("logs", {"address": contract[0]})
    told = {}
    async for message in web3.socket.process_subscriptions():
        told[message["subscription"]] = message["result"]
        if len(told) == 2:
            break
    signature = await web3.eth.sign(sender, text="hello")
    return {
        "head": told[heads]["number"],
        "log": "0x" + bytes(told[logs]["topics"][0]).hex(),
        "signer": Account.recover_message(encode_defunct(text="hello"), signature=signature),
    }


async def main():
    async with AsyncWeb3(WebSocketProvider(url)) as web3:
        heard = await hear(web3) if contract else {}
        transaction = {"from": sender, "to": to, "value": int(wei)}
        transaction_hash = await web3.eth.send_transaction(transaction)
        await web3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=0.05)
        if contract:
            signed = await web3.eth.sign_transaction(transaction)
            assert signed["tx"]["value"] == int(wei), signed
        return {"hash": "0x" + bytes(transaction_hash).hex(), **heard}


try:
    print(json.dumps(asyncio.run(main())))
except Exception as error:  # whatever the library raises is what its user sees
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
