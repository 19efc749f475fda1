// librdkafka as members of groups, one thread each: README.md has the commands.
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kErrorBytes = 512, kMembersMax = 64, kPartitionsMax = 256, kBatchMax = 500, kTimeoutMs = 100, kWords = 7 };

struct member {
  char *words[kWords];  // join NAME GROUP TOPIC ASSIGNOR INSTANCE SESSION_MS
  const char *name;
  rd_kafka_t *consumer;
  bool owned[kPartitionsMax];
  bool rebalanced;  // in this round
  atomic_bool leaving;
  pthread_t thread;
};

static const char *address;
static struct member members[kMembersMax];
static size_t member_count;

static void die(const char *what, const char *why) {
  fprintf(stderr, "librdkafka_members: %s: %s\n", what, why);
  exit(1);
}

// Some lines of a member stay together: lock standard output around them.
static void say(const char *kind, const struct member *member, const char *format, ...) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  flockfile(stdout);
  printf("%lld %s %s", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, kind, member->name);
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  funlockfile(stdout);
}

static void say_owns(const struct member *member) {
  char list[kPartitionsMax * 5] = "";
  size_t used = 0;
  for (int i = 0; i < kPartitionsMax; ++i) {
    if (member->owned[i]) used += (size_t)snprintf(list + used, sizeof list - used, " %d", i);
  }
  say("owns", member, "%s", list);
  fflush(stdout);
}

static void mark(struct member *member, const rd_kafka_topic_partition_list_t *partitions, bool owned) {
  for (int i = 0; i < partitions->cnt; ++i) member->owned[partitions->elems[i].partition] = owned;
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
  struct member *member = opaque;
  const bool assigns = kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  member->rebalanced = true;
  mark(member, partitions, assigns);
  say_owns(member);
  if (strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE") == 0) {
    rd_kafka_error_destroy(assigns ? rd_kafka_incremental_assign(consumer, partitions)
                                   : rd_kafka_incremental_unassign(consumer, partitions));
  } else {
    rd_kafka_assign(consumer, assigns ? partitions : NULL);
  }
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[kErrorBytes];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

static void start_consumer(struct member *member) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", address);
  set(conf, "log_level", "2");
  set(conf, "reconnect.backoff.max.ms", "200");
  set(conf, "client.id", member->name);
  set(conf, "group.id", member->words[2]);
  set(conf, "partition.assignment.strategy", member->words[4]);
  if (strcmp(member->words[5], "-") != 0) set(conf, "group.instance.id", member->words[5]);
  set(conf, "session.timeout.ms", member->words[6]);
  set(conf, "heartbeat.interval.ms", "300");
  set(conf, "max.poll.interval.ms", "60000");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "enable.auto.commit", "false");
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  rd_kafka_conf_set_opaque(conf, member);
  char why[kErrorBytes];
  member->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (member->consumer == NULL) die("rd_kafka_new", why);
  rd_kafka_poll_set_consumer(member->consumer);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, member->words[3], RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t error = rd_kafka_subscribe(member->consumer, topics);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) die("rd_kafka_subscribe", rd_kafka_err2str(error));
  rd_kafka_topic_partition_list_destroy(topics);
}

// Some records, each one said, their positions noted. It ends with a rebalance: a position must not be committed long after one.
static void read_some(struct member *member, rd_kafka_topic_partition_list_t *positions) {
  member->rebalanced = false;
  for (int i = 0; i < kBatchMax && !member->rebalanced; ++i) {
    rd_kafka_message_t *record = rd_kafka_consumer_poll(member->consumer, i == 0 ? kTimeoutMs : 0);
    if (record == NULL) return;
    if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      say("got", member, " %d %lld %.*s", record->partition, (long long)record->offset, (int)record->len, (const char *)record->payload);
      const char *topic = rd_kafka_topic_name(record->rkt);
      rd_kafka_topic_partition_t *position = rd_kafka_topic_partition_list_find(positions, topic, record->partition);
      if (position == NULL) position = rd_kafka_topic_partition_list_add(positions, topic, record->partition);
      position->offset = record->offset + 1;
    }
    rd_kafka_message_destroy(record);
  }
}

static void *consume(void *opaque) {
  struct member *member = opaque;
  start_consumer(member);
  while (!atomic_load(&member->leaving)) {
    rd_kafka_topic_partition_list_t *positions = rd_kafka_topic_partition_list_new(8);
    read_some(member, positions);
    fflush(stdout);  // before the commit: what is committed has been seen
    // If it fails, whoever has the partitions next reads these again, or the next commit covers them.
    if (positions->cnt > 0 && rd_kafka_commit(member->consumer, positions, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      for (int i = 0; i < positions->cnt; ++i) {
        const rd_kafka_topic_partition_t *position = &positions->elems[i];
        if (position->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
          say("committed", member, " %d %lld", position->partition, (long long)position->offset);
        }
      }
      fflush(stdout);
    }
    rd_kafka_topic_partition_list_destroy(positions);
  }
  rd_kafka_consumer_close(member->consumer);
  rd_kafka_destroy(member->consumer);
  say("left", member, "");
  fflush(stdout);
  return NULL;
}

static void run(char *line) {
  char *words[kWords] = {NULL};
  int count = 0;
  for (char *word = strtok(line, " \n"); word != NULL && count < kWords; word = strtok(NULL, " \n")) words[count++] = word;
  if (count == kWords && strcmp(words[0], "join") == 0) {
    if (member_count == kMembersMax) die("join", "too many members");
    struct member *member = &members[member_count++];
    for (int i = 0; i < kWords; ++i) member->words[i] = strdup(words[i]);
    member->name = member->words[1];
    if (pthread_create(&member->thread, NULL, consume, member) != 0) die("pthread_create", member->name);
  } else if (count == 2) {
    // The last of the name: it may have left before and joined again.
    for (size_t i = member_count; i-- > 0;) {
      if (strcmp(members[i].name, words[1]) == 0) {
        atomic_store(&members[i].leaving, true);
        break;
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 2) die("usage", "librdkafka_members ADDRESS");
  address = argv[1];
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) run(line);
  _Exit(0);
}
