#!/usr/bin/env python3
"""Write the page's files as a C header: embed.py OUTPUT FILE…"""
import pathlib
import sys

output, files = pathlib.Path(sys.argv[1]), [pathlib.Path(f) for f in sys.argv[2:]]
parts = ["/* Made by web/embed.py; do not edit. */\n#include <stddef.h>\n"]
rows = []
for number, file in enumerate(files):
    data = file.read_bytes()
    body = ",".join(str(b) for b in data)
    parts.append(f"static const unsigned char page_file_{number}[] = {{{body}}};\n")
    rows.append(f'    {{"{file.name}", page_file_{number}, sizeof page_file_{number}}},\n')
parts.append("struct page_file {\n    const char *name;\n    const unsigned char *data;\n    size_t len;\n};\n")
parts.append("static const struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
output.write_text("".join(parts))
