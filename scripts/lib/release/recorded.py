"""Prints what cargo-auditable recorded in an ELF binary (section .dep-v0, zlib-compressed JSON): the crates it is made of."""

import struct
import sys
import zlib

LARGEST = 8 * 1024 * 1024


def section(elf: bytes, wanted: bytes) -> bytes:
    """The content of a section of a little-endian 64-bit ELF file; LookupError when it has none of that name."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no little-endian 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + n * size) for n in range(count)]
    names_at = headers[names][4]
    for name, _kind, _flags, _address, offset, length in headers:
        begin = names_at + name
        if elf[begin : elf.index(b"\0", begin)] == wanted:
            return elf[offset : offset + length]
    raise LookupError(f"no section {wanted.decode()}")


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        recorded = section(file.read(), b".dep-v0")
    inflated = zlib.decompressobj().decompress(recorded, LARGEST)
    sys.stdout.buffer.write(inflated)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, LookupError, struct.error, zlib.error) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
