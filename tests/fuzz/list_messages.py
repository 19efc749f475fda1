#!/usr/bin/env python3
"""Writes every_message.h: visit_message(index, visitor) over all generated messages: list_messages.py GENERATED OUTPUT"""
import pathlib
import re
import sys


def main():
    generated, output = map(pathlib.Path, sys.argv[1:])
    names, includes = [], []
    for header in sorted((generated / "protocol/messages").glob("*.h")):
        found = re.findall(r"^struct (\w+) \{\n(?:  static constexpr std::int16_t \w+ = -?\d+;\n)*"
                           r"  static constexpr const char\* kName", header.read_text(), re.MULTILINE)
        names += found
        if found:
            includes.append(f'#include "protocol/messages/{header.name}"')
    if len(names) < 200:
        sys.exit(f"{generated}: only {len(names)} messages")
    cases = "\n".join(f"    case {i}: return visit.template operator()<protocol::{name}>();" for i, name in enumerate(names))
    output.write_text("\n".join(includes) + f"""

namespace kurier::fuzz {{

inline constexpr std::size_t kMessages = {len(names)};

// Calls visit.operator()<Message>() for the message with that number.
template <class Visit>
void visit_message(std::size_t index, Visit&& visit) {{
  switch (index) {{
{cases}
    default: return;
  }}
}}

}}  // namespace kurier::fuzz
""")


if __name__ == "__main__":
    main()
