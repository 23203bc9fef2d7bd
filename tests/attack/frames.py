"""HTTP/2 by hand (RFC 9113, RFC 7541): frames that no client library would send."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 2, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 0x4
CANCEL = 0x8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values):
    identifiers = {"initial_window_size": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", identifiers[key], value) for key, value in values.items()))


def opening(**values):
    """What a client says first."""
    return PREFACE + settings(**values) + frame(SETTINGS, ACK, 0)


def _string(text):
    text = text if isinstance(text, bytes) else text.encode()
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, length = len(text) - 127, b"\x7f"
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + text


def field(name, value, indexed=False):
    """A literal field; an indexed one can be referred to afterwards as `REFERENCE`."""
    return (b"\x40" if indexed else b"\x00") + _string(name) + _string(value)


# The field that was indexed last.
REFERENCE = b"\xbe"


def request(method="GET", path="/", token=None, more=b""):
    block = field(":method", method) + field(":scheme", "http") + field(":path", path) + field(":authority", "email")
    if token:
        block += field("authorization", f"Bearer {token}")
    return block + more


def headers(stream, block, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def data(stream, payload, end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def reset(stream):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))


async def read(reader):
    """The next frame: kind, flags, stream, payload."""
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], int.from_bytes(head[5:9], "big"), await reader.readexactly(length)


def status(block):
    """The status in a block of header fields, as the h2 crate encodes it; 0 if it is none of these."""
    known = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
    # The table's size may be told first.
    while block and block[0] & 0xE0 == 0x20:
        block = block[1:]
    if not block:
        return 0
    if block[0] in known:
        return known[block[0]]
    # A literal with the name of the static table's `:status`.
    if block[0] & 0x3F in (8, 9, 10, 11, 12, 13, 14) and len(block) > 2:
        length, text = block[1] & 0x7F, block[2:]
        if block[1] & 0x80:
            return _huffman_digits(text[:length])
        return int(text[:length])
    return 0


def _huffman_digits(coded):
    """Three digits in the Huffman code of RFC 7541, appendix B."""
    codes = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5"}
    codes |= {"011100": "6", "011101": "7", "011110": "8", "011111": "9"}
    bits, digits, code = "".join(f"{byte:08b}" for byte in coded), "", ""
    for bit in bits:
        code += bit
        if code in codes:
            digits, code = digits + codes[code], ""
    return int(digits) if len(digits) == 3 else 0
