#!/usr/bin/env python3
"""Checks a ledger of Portfolio Maximizer with Python's standard library and nothing else.

    python verify_ledger.py FOLDER/journal.jsonl [--checkpoints FILE] [--public-key HEX] [--json]

FILE is a copy of the signed checkpoints that lies where whoever writes the journal cannot write.
Exit codes: 0 sound, 1 something is wrong (the first bad record is named), 2 cannot be read.
Without checkpoints a chain that somebody computed again from the start looks sound; the tool says
so. Records after the last checkpoint are covered by the chain alone. Written apart from the
product's own check on purpose: two readers of one format.
"""

import argparse
import hashlib
import json
import sys

GENESIS = "0" * 64

# Ed25519 as RFC 8032 section 6 gives it: slow (some milliseconds a signature), and short.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return (x * y % P, z * t % P, y * z % P, x * t % P)


def _times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _add(result, point)
        point = _add(point, point)
        number >>= 1
    return result


def _point(data):
    """The point that 32 bytes stand for, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public_key, message, signature):
    """Whether `signature` over `message` is the key's (RFC 8032, section 5.1.7)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, first = _point(public_key), _point(signature[:32])
    second = int.from_bytes(signature[32:], "little")
    if key is None or first is None or second >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    return _same(_times(second, BASE), _add(first, _times(challenge, key)))


def read_chain(lines):
    """The hashes of the sound records, and what is wrong with the first that is not."""
    hashes, left = [], 0
    for line in lines:
        number = len(hashes) + 1
        if not line.endswith(b"\n"):
            return hashes, f"record {number} is not complete"
        problem, record = check_line(line, number, hashes[-1] if hashes else GENESIS, left)
        if problem:
            return hashes, f"record {number}: {problem}"
        hashes.append(line[9:73].decode())
        left = record["left"]
    return hashes, f"the commit of record {len(hashes)} is not whole" if left else ""


def check_line(line, number, previous, left):
    """What is wrong with one line, and its record."""
    if line[:9] != b'{"hash":"' or line[73:75] != b'",':
        return "it has not the form of a record", None
    body = b"{" + line[75:-1]
    if hashlib.sha256(body).hexdigest().encode() != line[9:73]:
        return "its bytes do not match its hash", None
    try:
        record = json.loads(body)
        seq, stated = record["seq"], record["prev_hash"]
        expected = left - 1 if left else record["left"]
        wrong_commit = record["left"] != expected or record["left"] < 0
    except (ValueError, KeyError, TypeError):
        return "it has not the members of a record", None
    if seq != number:
        return f"its number is {seq}", None
    if stated != previous:
        return "it does not continue the record before it", None
    return ("its commit is not whole" if wrong_commit else ""), record


def check_checkpoints(lines, hashes, public_key):
    """Every contradiction between checkpoints and chain, and how many records are covered."""
    problems, previous, covered = [], "", 0
    for number, line in enumerate(lines, start=1):
        name = f"checkpoint {number}"
        try:
            one = json.loads(line)
            signature = bytes.fromhex(one.pop("signature"))
            public_key = public_key or one["public_key"]
            size, root, origin = int(one["size"]), one["root"], one["origin"]
            message = json.dumps(one, sort_keys=True, separators=(",", ":")).encode()
            key = bytes.fromhex(one["public_key"])
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"{name} cannot be read")
            continue
        if one["public_key"] != public_key:
            problems.append(f"{name} is signed by another key")
        if not is_signed(key, message, signature):
            problems.append(f"{name} has a false signature")
        # A copy may begin anywhere, so only its later lines have a predecessor here.
        if number > 1 and one["previous"] != previous:
            problems.append(f"{name} does not continue the one before it")
        if size <= covered:
            problems.append(f"{name} does not follow {covered} records")
        if len(hashes) < size:
            problems.append(f"{name} covers {size} records, and {len(hashes)} are sound")
        elif hashes[size - 1] != root or hashes[0] != origin:
            problems.append(f"{name}: record {size} is not the one that was signed")
        previous, covered = hashlib.sha256(line).hexdigest(), size
    return problems, covered


def verify(journal, checkpoints=None, public_key=""):
    """The findings as a dictionary; `problems` is empty when all is sound."""
    with open(journal, "rb") as file:
        hashes, problem = read_chain(file)
    problems, covered = [problem] if problem else [], 0
    if checkpoints:
        with open(checkpoints, "rb") as file:
            lines = list(file)
        found, covered = check_checkpoints(lines, hashes, public_key)
        problems += found
        if not lines:
            problems.append("the file of checkpoints is empty")
    return {
        "sound": not problems,
        "records": len(hashes),
        "covered": min(covered, len(hashes)),
        "head": hashes[-1] if hashes else GENESIS,
        "problems": problems,
    }


def main(arguments=None):
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("journal")
    parser.add_argument("--checkpoints", help="a copy of the signed checkpoints")
    parser.add_argument("--public-key", default="", help="the key that must have signed them")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        found = verify(options.journal, options.checkpoints, options.public_key)
    except OSError as error:
        sys.stderr.write(f"cannot be read: {error}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        lines = [f"WRONG: {problem}" for problem in found["problems"]]
        lines.append(f"{found['records']} sound records, {found['covered']} covered by checkpoints")
        if not options.checkpoints:
            lines.append("no checkpoint was given: a chain computed again would look sound too")
        sys.stdout.write("\n".join(lines) + "\n")
    return 0 if found["sound"] else 1


if __name__ == "__main__":
    sys.exit(main())
