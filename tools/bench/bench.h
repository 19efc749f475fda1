// kurier bench: measures a broker, kurier or any other that speaks Kafka's protocol. docs/benchmark.md.
#pragma once

namespace kurier::bench {

// `argv[0]` is the word "bench". The exit status: 0, 1 if the run failed, 2 for wrong arguments.
int main(int argc, char** argv);

}  // namespace kurier::bench
