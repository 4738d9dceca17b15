"""web3.py signs with an account that the node holds, and says who has signed as eth-account reads the signature."""

import json
import pathlib
import sys

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from web3 import Web3

url, sender = sys.argv[1:]
web3 = Web3(Web3.HTTPProvider(url))


def numbers(kind, value, types):
    """Whole numbers as Python has them: what goes over the wire is a JSON number of any size."""
    if kind.endswith("]"):
        return [numbers(kind[: kind.rindex("[")], item, types) for item in value]
    if kind in types:
        return {field["name"]: numbers(field["type"], value[field["name"]], types) for field in types[kind]}
    return int(value) if kind.startswith(("uint", "int")) else value


signers = {}
signature = web3.eth.sign(sender, text="hello")
signers["hello"] = Account.recover_message(encode_defunct(text="hello"), signature=signature)
text = pathlib.Path(__file__).with_name("typed_data.json").read_text(encoding="utf-8")
for name, data in json.loads(text.replace("$wallet", sender)).items():
    data["message"] = numbers(data["primaryType"], data["message"], data["types"])
    signature = web3.eth.sign_typed_data(sender, data)
    signers[name] = Account.recover_message(encode_typed_data(full_message=data), signature=signature)
print(json.dumps(signers))
