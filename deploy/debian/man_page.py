#!/usr/bin/env python3
"""man_page.py PROGRAM - tailwater(1) from what the program says of itself: the commands of `help` and the manual of
`help options`, whose Markdown uses headings, paragraphs, lists, tables and indented code only."""

from __future__ import annotations

import re
import subprocess
import sys

HEAD = """.TH TAILWATER 1 "" "{version}" "User Commands"
.SH NAME
tailwater \\- MongoDB log collections as Server-Sent Events
.SH SYNOPSIS
.B tailwater
[\\fIcommand\\fR] [\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-\\fIname\\fB=\\fIvalue\\fR ...]
.SH COMMANDS
.nf
{commands}
.fi
"""
TAIL = """.SH EXIT STATUS
0 done, 1 failed, 2 wrong command line, 78 wrong configuration.
.SH FILES
.I /etc/tailwater/tailwater.yaml
"""


def escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


def inline(text: str) -> str:
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text).replace("<br>", " ").replace("\\|", "|")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(f"\\fB{escape(p[1:-1])}\\fR" if p.startswith("`") and len(p) > 1 else escape(p) for p in parts)


def table_row(line: str) -> list[str]:
    name, *rest = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
    if set(name) <= set("-: "):
        return []
    return [".TP", inline(name), " \\- ".join(inline(cell) for cell in rest if cell)]


def roff(markdown: str) -> list[str]:
    out, in_code = [], False
    for line in re.sub(r"<!--.*?-->", "", markdown, flags=re.S).splitlines():
        is_code = line.startswith("    ")
        if is_code != in_code and (is_code or line):
            out.append(".PP\n.nf" if is_code else ".fi")
            in_code = is_code
        if is_code:
            out.append(escape(line))
        elif heading := re.match(r"(#+) (.*)", line):
            out.append(f".{'SH' if len(heading[1]) < 3 else 'SS'} {inline(heading[2]).upper() if len(heading[1]) < 3 else inline(heading[2])}")
        elif re.match(r"(\d+\.|-) ", line):
            out += [".br", inline(line)]
        elif line.startswith("|"):
            out += table_row(line)
        elif not line:
            out.append(".PP" if not in_code else "")
        else:
            out.append(inline(line.strip()))
    return out + [".fi"] * in_code


def say(program: str, *words: str) -> str:
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout


def main() -> None:
    program = sys.argv[1]
    commands = re.search(r"^Commands\n(.*?)\n\n", say(program, "--help"), re.S | re.M)[1]
    version = " ".join(say(program, "--version").split()[:2])
    print(HEAD.format(version=version, commands="\n".join(map(escape, commands.splitlines()))), end="")
    print("\n".join(roff(say(program, "help", "options"))))
    print(TAIL, end="")


if __name__ == "__main__":
    main()
