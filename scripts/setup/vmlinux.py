# SPDX-License-Identifier: MIT
"""
vmlinux.py IMAGE VMLINUX: extracts the kernel from a self-extracting image, so that an emulated processor need not
decompress it. The offsets are those of Linux's boot protocol for x86.
"""

import lzma
import os
import struct
import sys

SETUP_SECTORS, PAYLOAD = 0x1F1, 0x248
SECTOR = 512

with open(sys.argv[1], "rb") as file:
    image = file.read()
offset, size = struct.unpack_from("<II", image, PAYLOAD)
start = (image[SETUP_SECTORS] + 1) * SECTOR + offset
# The length of the kernel follows the compressed data and is not part of it.
kernel = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(image[start:start + size])
if not kernel.startswith(b"\x7fELF"):
    sys.exit("vmlinux.py: the decompressed image is not an ELF file")
unfinished = f"{sys.argv[2]}.{os.getpid()}"
with open(unfinished, "wb") as file:
    file.write(kernel)
os.rename(unfinished, sys.argv[2])
