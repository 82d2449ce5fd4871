#!/usr/bin/env python3
"""Write the page's files as a C header, each plain and gzipped: embed.py OUTPUT FILE…"""
import gzip
import pathlib
import sys


def array(name: str, data: bytes) -> str:
    return f"static const unsigned char {name}[] = {{{','.join(map(str, data))}}};\n"


output, files = pathlib.Path(sys.argv[1]), [pathlib.Path(f) for f in sys.argv[2:]]
parts = ["/* Made by web/embed.py; do not edit. */\n#include <stddef.h>\n"]
rows = []
for number, file in enumerate(files):
    data = file.read_bytes()
    plain, gzipped = f"page_file_{number}", f"page_file_{number}_gzipped"
    parts.append(array(plain, data) + array(gzipped, gzip.compress(data, 9, mtime=0)))
    rows.append(f'    {{"{file.name}", {plain}, sizeof {plain}, {gzipped}, sizeof {gzipped}}},\n')
parts.append("struct page_file {\n    const char *name;\n    const unsigned char *data;\n    size_t len;\n"
             "    const unsigned char *gzipped;\n    size_t gzipped_len;\n};\n")
parts.append("static const struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
output.write_text("".join(parts))
