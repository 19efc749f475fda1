// The commands that talk to a cluster: kurier group, produce, consume. README.md.
#pragma once

namespace kurier::commands {

// `argv[0]` is the command's word. The exit status: 0, 1 if it failed, 2 for wrong arguments.
int group_main(int argc, char** argv);
int produce_main(int argc, char** argv);
int consume_main(int argc, char** argv);

}  // namespace kurier::commands
