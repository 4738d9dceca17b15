#!/usr/bin/env python3
"""Verifies a Countersign evidence document. Written from docs/evidence.md alone; standard library only.

    verify.py FILE [GATEWAY:SEQUENCE:0xHASH ...]

Prints each chain's head and exits 0, or says what is wrong and exits 1.
"""

import calendar
import hashlib
import json
import sys
import time

FORMAT = "countersign-evidence/1"
ZERO = bytes(32)


class Broken(Exception):
    """The document proves nothing."""


def sha256(data):
    return hashlib.sha256(data).digest()


def stripped(data):
    """The document without white space outside texts."""
    out, in_text, escaped = bytearray(), False, False
    for byte in data:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte in b" \t\n\r":
            continue
        elif byte == 0x22:
            in_text = True
        out.append(byte)
    return bytes(out)


def unique(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise Broken("a key is there twice")
    return dict(pairs)


DECODER = json.JSONDecoder(object_pairs_hook=unique)


class Cursor:
    """A place in the text; every value is given as it stands."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def expect(self, literal):
        if not self.text.startswith(literal, self.at):
            raise Broken(f"character {self.at}: {literal!r} is expected")
        self.at += len(literal)

    def next_is(self, literal):
        return self.text.startswith(literal, self.at)

    def value(self):
        begin = self.at
        try:
            value, self.at = DECODER.raw_decode(self.text, begin)
        except ValueError as error:
            raise Broken(f"character {begin}: {error}") from error
        return value, self.text[begin : self.at]

    def members(self, *names):
        """An object with exactly these members, in this order, each as (value, text)."""
        found = {}
        for index, name in enumerate(names):
            self.expect(("{" if index == 0 else ",") + json.dumps(name) + ":")
            found[name] = self.value()
        self.expect("}")
        return found


def raw_member(text, *path):
    """The text of a member of an object."""
    for name in path:
        cursor, wanted = Cursor(text), None
        cursor.expect("{")
        while not cursor.next_is("}"):
            if cursor.next_is(","):
                cursor.expect(",")
            key, _ = cursor.value()
            cursor.expect(":")
            _, value = cursor.value()
            if key == name:
                wanted = value
        if wanted is None:
            raise Broken(f"there is no {name!r}")
        text = wanted
    return text


def instant(text):
    """Nanoseconds of an RFC 3339 instant in UTC, exactly."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int(fraction.ljust(9, "0") or 0)


def asks_for(filter_, about):
    """Whether the filter asks for a decision, an attestation or an incident."""
    at = about.get("at")
    begin, end = filter_["from"], filter_["to"]
    if begin is not None and (at is None or instant(at) < instant(begin)):
        return False
    if end is not None and (at is None or instant(at) >= instant(end)):
        return False
    if filter_["agent"] is not None and about.get("agent") != filter_["agent"]:
        return False
    if filter_["session"] is not None:
        session = "0x" + sha256(filter_["session"].encode()).hex()
        if about.get("session") != session:
            return False
    return True


def subject(kind, said):
    """What an entry's `about` must be, from what it says."""
    about = {"kind": kind}

    def put(name, value):
        if value is not None:
            about[name] = value

    body = said[kind]
    if kind == "policy":
        put("policy", body["policy"])
    elif kind in ("decision", "attestation"):
        put("agent", body["decision"]["agentId"])
        put("at", body["decision"]["createdAt"])
        put("session", body["decision"]["sessionKeyHash"])
        put("trace", body["traceHash"])
    elif kind == "update":
        put("trace", body["traceHash"])
    elif kind == "incident":
        put("agent", body["agent"])
        put("at", body["createdAt"])
        put("id", body["id"])
        if body["session"] is not None:
            put("session", "0x" + sha256(body["session"].encode()).hex())
        put("trace", body["traceHash"])
    else:
        raise Broken(f"{kind!r} is no kind of entry")
    return about


class Verifier:
    def __init__(self, anchors):
        self.anchors = anchors
        self.asked, self.left_out = set(), set()
        self.counts = {}

    def document(self, data):
        text = stripped(data)
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Broken(str(error)) from error
        cursor = Cursor(text)
        cursor.expect('{"evidence":')
        header, _ = cursor.value()
        if list(header) != ["format", "app", "exported_at", "durability", "filter"]:
            raise Broken("the header has other members")
        if list(header["filter"]) != ["from", "to", "agent", "session"]:
            raise Broken("the filter has other members")
        if header["format"] != FORMAT:
            raise Broken("it is of another format")
        if header["durability"] not in ("A", "B", "D"):
            raise Broken("it names a class of durability that there is not")
        self.filter = header["filter"]
        cursor.expect(',"chains":[')
        chains = {}
        while not cursor.next_is("]"):
            if chains:
                cursor.expect(",")
            name, head = self.chain(cursor)
            if chains and name <= max(chains):
                raise Broken("chains are not in order of their names")
            chains[name] = head
        cursor.expect("]")
        counted = text[: cursor.at].encode()
        cursor.expect(',"digest":"0x' + sha256(counted).hex() + '"}')
        if cursor.at != len(text):
            raise Broken("something follows its end")
        if self.asked & self.left_out:
            raise Broken("something that came of a decision is missing")
        for name, sequence, _ in self.anchors:
            if name not in chains or chains[name][0] < sequence:
                raise Broken(f"{name} ends before its anchored entry {sequence}")
        return chains

    def chain(self, cursor):
        cursor.expect('{"gateway":')
        name, _ = cursor.value()
        cursor.expect(',"anchored":')
        anchored, _ = cursor.value()
        known = {sequence: hash_ for of, sequence, hash_ in self.anchors if of == name}
        if anchored is not None:
            if list(anchored) != ["hash", "sequence"]:
                raise Broken("an anchored head has other members")
            if known.setdefault(anchored["sequence"], anchored["hash"]) != anchored["hash"]:
                raise Broken(f"{name}: two heads are anchored in one place")
        cursor.expect(',"entries":[')
        sequence, head, pinned = 0, ZERO, set()
        while not cursor.next_is("]"):
            if sequence:
                cursor.expect(",")
            sequence += 1
            try:
                head = self.entry(cursor, head, pinned)
            except (Broken, KeyError, TypeError, AttributeError) as error:
                raise Broken(f"{name}, entry {sequence}: {error}") from error
            if known.get(sequence, "0x" + head.hex()) != "0x" + head.hex():
                raise Broken(f"{name}, entry {sequence}: another entry is anchored in its place")
        if not sequence or (anchored is not None and anchored["sequence"] == 0):
            raise Broken(f"{name}: no journal is empty")
        cursor.expect('],"head":')
        said, _ = cursor.value()
        cursor.expect("}")
        if said != {"hash": "0x" + head.hex(), "sequence": sequence}:
            raise Broken(f"{name}: its entries do not lead to its head")
        if anchored is not None and anchored["sequence"] > sequence:
            raise Broken(f"{name}: it ends before the head that is anchored")
        return name, (sequence, "0x" + head.hex())

    def entry(self, cursor, head, pinned):
        begin = cursor.at
        shown, _ = cursor.value()
        cursor.at = begin
        words = "withheld" if "withheld" in shown else "said"
        members = cursor.members("about", "hash", words)
        about, about_text = members["about"]
        value, text = members[words]
        said_digest = bytes.fromhex(value[2:]) if words == "withheld" else sha256(text.encode())
        digest = sha256(sha256(about_text.encode()) + said_digest)
        head = sha256(head + digest)
        if members["hash"][0] != "0x" + head.hex():
            raise Broken("does not follow from the entries before it")
        if words == "withheld":
            self.withheld(about)
        else:
            self.said(about, value, text, pinned)
        return head

    def withheld(self, about):
        kind = about["kind"]
        if kind == "policy":
            raise Broken("its words are missing")
        if kind == "update":
            self.left_out.add(about["trace"])
            if not any(value is not None for value in self.filter.values()):
                raise Broken("its words are missing")
        elif asks_for(self.filter, about):
            raise Broken("was asked for, and its words are missing")

    def said(self, about, said, text, pinned):
        (kind,) = said
        if subject(kind, said) != about:
            raise Broken("is about something else than it says")
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "policy":
            digest = sha256(said[kind]["canonical"].encode()).hex()
            if said[kind]["policy"] != "sha256:" + digest:
                raise Broken("the policy is not the one that it is called")
            pinned.add(said[kind]["policy"])
        elif kind in ("decision", "attestation"):
            self.hashed(raw_member(text, kind, "decision"), said[kind]["traceHash"])
            if kind == "decision":
                self.judged(said[kind]["decision"], pinned)
            if asks_for(self.filter, about):
                self.asked.add(about["trace"])
        elif kind == "update" and "again" in said[kind]["update"]:
            again = said[kind]["update"]["again"]
            self.hashed(raw_member(text, kind, "update", "again", "decision"), again["decisionHash"])
            self.judged(again["decision"], pinned)

    @staticmethod
    def hashed(text, name):
        if "0x" + sha256(text.encode()).hex() != name:
            raise Broken("it is not what its trace hash names")

    @staticmethod
    def judged(decision, pinned):
        policies = decision["guards"] + [p for p in [decision["policy"]] if p is not None]
        if not set(policies) <= pinned:
            raise Broken("a policy that it was decided under is not in the chain")


def anchor(text):
    rest, hash_ = text.rsplit(":", 1)
    gateway, sequence = rest.rsplit(":", 1)
    return gateway, int(sequence), hash_


def main(arguments):
    with open(arguments[0], "rb") as file:
        data = file.read()
    verifier = Verifier([anchor(text) for text in arguments[1:]])
    try:
        chains = verifier.document(data)
    except (Broken, RecursionError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    for name, (sequence, head) in chains.items():
        print(f"{name}:{sequence}:{head}")
    print(json.dumps(verifier.counts, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
