// librdkafka doing what tests/interop/clients.py asks for: the commands are in tests/interop/README.md.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kTimeoutMs = 30000, kWordsMax = 1024, kErrorBytes = 512 };

struct report {
  int is_done;
  rd_kafka_resp_err_t error;
  int32_t partition;
  int64_t offset;
};

static const char *address;
static rd_kafka_t *admin;  // a consumer's handle: one of a producer's may create the topics that it asks about
static rd_kafka_t *producer;
static rd_kafka_t *consumer;
static struct report *reports;  // one for each record sent since the last flush, in order
static size_t report_count, report_capacity;

static void die(const char *what, const char *why) {
  fprintf(stderr, "librdkafka_agent: %s: %s\n", what, why);
  exit(1);
}

// Words of the protocol.

struct bytes {
  char *data;  // NULL is null
  size_t size;
};

static int nibble(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

// Decodes in place; what comes out is followed by a zero byte.
static struct bytes to_bytes(char *word) {
  if (word[0] == '~') return (struct bytes){NULL, 0};
  const size_t size = strlen(word + 1) / 2;
  for (size_t i = 0; i < size; ++i) word[i] = (char)(nibble(word[1 + 2 * i]) * 16 + nibble(word[2 + 2 * i]));
  word[size] = 0;
  return (struct bytes){word, size};
}

static void print_word(const void *data, size_t size) {
  static const char digits[] = "0123456789abcdef";
  if (data == NULL) {
    fputs(" ~", stdout);
    return;
  }
  fputs(" =", stdout);
  for (size_t i = 0; i < size; ++i) {
    const unsigned char byte = ((const unsigned char *)data)[i];
    putchar(digits[byte >> 4]);
    putchar(digits[byte & 15]);
  }
}

static int64_t to_position(const char *word) {
  if (strcmp(word, "begin") == 0) return RD_KAFKA_OFFSET_BEGINNING;
  if (strcmp(word, "end") == 0) return RD_KAFKA_OFFSET_END;
  return strtoll(word, NULL, 10);
}

// librdkafka's own errors are negative; one of them stands for the node's OFFSET_OUT_OF_RANGE.
static void print_failure(const char *kind, rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) error = RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
  if (error > 0) {
    printf("%s %d %s\n", kind, (int)error, rd_kafka_err2name(error));
  } else {
    printf("%s local %s\n", kind, rd_kafka_err2name(error));
  }
}

static void answer(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    puts("ok");
  } else {
    print_failure("error", error);
  }
}

// Handles.

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[kErrorBytes];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

// The value of `name` among words of the form name=value.
static const char *setting(char **words, int count, const char *name) {
  const size_t length = strlen(name);
  for (int i = 0; i < count; ++i) {
    if (strncmp(words[i], name, length) == 0 && words[i][length] == '=') return words[i] + length + 1;
  }
  die(name, "is missing");
  return NULL;
}

static rd_kafka_conf_t *new_conf(void) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", address);
  set(conf, "log_level", "2");               // lost connections are part of what is checked,
  set(conf, "reconnect.backoff.max.ms", "200");  // and are not to take long
  return conf;
}

static rd_kafka_t *new_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
  char why[kErrorBytes];
  rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof why);
  if (handle == NULL) die("rd_kafka_new", why);
  return handle;
}

// Admin.

static rd_kafka_resp_err_t topic_error(const rd_kafka_topic_result_t **results, size_t count) {
  return count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
}

// The error of the one topic that the request was about.
static rd_kafka_resp_err_t await_topic(rd_kafka_queue_t *queue) {
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, kTimeoutMs);
  rd_kafka_resp_err_t error = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    size_t count = 0;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT) {
      error = topic_error(rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count), count);
    } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT) {
      error = topic_error(rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count), count);
    } else {
      error = topic_error(rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count), count);
    }
  }
  if (event != NULL) rd_kafka_event_destroy(event);
  return error;
}

static rd_kafka_resp_err_t create_topic(rd_kafka_queue_t *queue, char **words, int count) {
  char why[kErrorBytes];
  rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(words[0], atoi(words[1]), 1, why, sizeof why);
  if (topic == NULL) return RD_KAFKA_RESP_ERR__INVALID_ARG;
  for (int i = 2; i < count; ++i) {
    char *value = strchr(words[i], '=');
    *value++ = 0;
    rd_kafka_NewTopic_set_config(topic, words[i], value);
  }
  rd_kafka_CreateTopics(admin, &topic, 1, NULL, queue);
  rd_kafka_NewTopic_destroy(topic);
  return await_topic(queue);
}

static rd_kafka_resp_err_t delete_topic(rd_kafka_queue_t *queue, const char *name) {
  rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
  rd_kafka_DeleteTopics(admin, &topic, 1, NULL, queue);
  rd_kafka_DeleteTopic_destroy(topic);
  return await_topic(queue);
}

static rd_kafka_resp_err_t grow_topic(rd_kafka_queue_t *queue, char **words) {
  char why[kErrorBytes];
  rd_kafka_NewPartitions_t *partitions = rd_kafka_NewPartitions_new(words[0], (size_t)atoi(words[1]), why, sizeof why);
  if (partitions == NULL) return RD_KAFKA_RESP_ERR__INVALID_ARG;
  rd_kafka_CreatePartitions(admin, &partitions, 1, NULL, queue);
  rd_kafka_NewPartitions_destroy(partitions);
  return await_topic(queue);
}

static void count_partitions(const char *name) {
  const struct rd_kafka_metadata *metadata = NULL;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(admin, 1, NULL, &metadata, kTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    answer(error);
    return;
  }
  int found = 0;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    if (strcmp(metadata->topics[i].topic, name) == 0) found = metadata->topics[i].partition_cnt;
  }
  printf("ok %d\n", found);
  rd_kafka_metadata_destroy(metadata);
}

// Producing.

static void delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *unused) {
  (void)handle;
  (void)unused;
  struct report *report = &reports[(size_t)(intptr_t)message->_private];
  *report = (struct report){1, message->err, message->partition, message->offset < 0 ? -1 : message->offset};
}

static void start_producer(char **words, int count) {
  if (producer != NULL) rd_kafka_destroy(producer);
  rd_kafka_conf_t *conf = new_conf();
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  set(conf, "acks", setting(words, count, "acks"));
  set(conf, "enable.idempotence", setting(words, count, "idempotence"));
  set(conf, "compression.type", setting(words, count, "codec"));
  set(conf, "linger.ms", setting(words, count, "linger_ms"));
  set(conf, "batch.size", setting(words, count, "batch_bytes"));
  set(conf, "batch.num.messages", "1000000");
  set(conf, "queue.buffering.max.messages", "1000000");
  set(conf, "queue.buffering.max.kbytes", "1000000");
  const char *size_max = setting(words, count, "size_max");
  if (strcmp(size_max, "0") != 0) set(conf, "message.max.bytes", size_max);
  producer = new_handle(RD_KAFKA_PRODUCER, conf);
}

static void send_record(char **words, int count) {
  if (report_count == report_capacity) {
    report_capacity = report_capacity * 2 + 1024;
    reports = realloc(reports, report_capacity * sizeof *reports);
    if (reports == NULL) die("send", "out of memory");
  }
  reports[report_count] = (struct report){0};
  rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)count);
  for (int i = 5; i < count; i += 2) {
    const struct bytes name = to_bytes(words[i]), value = to_bytes(words[i + 1]);
    rd_kafka_header_add(headers, name.data, (ssize_t)name.size, value.data, (ssize_t)value.size);
  }
  const struct bytes key = to_bytes(words[3]), value = to_bytes(words[4]);
  const int64_t timestamp = strtoll(words[2], NULL, 10);
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      producer, RD_KAFKA_V_TOPIC(words[0]), RD_KAFKA_V_PARTITION(atoi(words[1])), RD_KAFKA_V_TIMESTAMP(timestamp < 0 ? 0 : timestamp),
      RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)(intptr_t)report_count), RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_headers_destroy(headers);
    reports[report_count] = (struct report){1, error, -1, -1};
  }
  ++report_count;
}

static void flush(void) {
  const rd_kafka_resp_err_t error = rd_kafka_flush(producer, 2 * kTimeoutMs);
  for (size_t i = 0; i < report_count; ++i) {
    if (reports[i].is_done && reports[i].error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      printf("sent %d %lld\n", (int)reports[i].partition, (long long)reports[i].offset);
    } else {
      print_failure("failed", reports[i].is_done ? reports[i].error : RD_KAFKA_RESP_ERR__TIMED_OUT);
    }
  }
  report_count = 0;
  answer(error);
}

// Consuming.

static void stop_consumer(void) {
  if (consumer == NULL) return;
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
}

static void start_consumer(char **words, int count) {
  stop_consumer();
  char socket_timeout_ms[32];
  const char *wait_ms = setting(words, count, "fetch_wait_ms");
  snprintf(socket_timeout_ms, sizeof socket_timeout_ms, "%d", atoi(wait_ms) + kTimeoutMs);
  rd_kafka_conf_t *conf = new_conf();
  set(conf, "group.id", "none");
  set(conf, "enable.auto.commit", "false");
  set(conf, "fetch.min.bytes", setting(words, count, "fetch_min_bytes"));
  set(conf, "fetch.wait.max.ms", wait_ms);
  set(conf, "socket.timeout.ms", socket_timeout_ms);
  set(conf, "isolation.level", setting(words, count, "isolation"));
  const char *reset = setting(words, count, "reset");
  set(conf, "auto.offset.reset", strcmp(reset, "none") == 0 ? "error" : reset);
  consumer = new_handle(RD_KAFKA_CONSUMER, conf);
  rd_kafka_poll_set_consumer(consumer);
}

static rd_kafka_topic_partition_list_t *positions(char **words, int count) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count / 3);
  for (int i = 0; i + 2 < count; i += 3) {
    rd_kafka_topic_partition_list_add(list, words[i], atoi(words[i + 1]))->offset = to_position(words[i + 2]);
  }
  return list;
}

static rd_kafka_resp_err_t seek(char **words) {
  rd_kafka_topic_partition_list_t *list = positions(words, 3);
  rd_kafka_error_t *failed = rd_kafka_seek_partitions(consumer, list, kTimeoutMs);
  rd_kafka_resp_err_t error = list->elems[0].err;
  if (failed != NULL) {
    error = rd_kafka_error_code(failed);
    rd_kafka_error_destroy(failed);
  }
  rd_kafka_topic_partition_list_destroy(list);
  return error;
}

static void print_record(const rd_kafka_message_t *message) {
  rd_kafka_timestamp_type_t type;
  const int64_t timestamp = rd_kafka_message_timestamp(message, &type);
  printf("record %s %d %lld %s %lld", rd_kafka_topic_name(message->rkt), (int)message->partition, (long long)message->offset,
         type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? "create" : "append", (long long)timestamp);
  print_word(message->key, message->key_len);
  print_word(message->payload, message->len);
  rd_kafka_headers_t *headers = NULL;
  if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      print_word(name, strlen(name));
      print_word(value, size);
    }
  }
  putchar('\n');
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_records(int count, int timeout_ms) {
  const int64_t deadline = now_ms() + timeout_ms;
  while (count > 0) {
    const int64_t left = deadline - now_ms();
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, left < 0 ? 0 : (int)left);
    if (message == NULL) {
      puts("timeout");
      return;
    }
    const rd_kafka_resp_err_t error = message->err;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) print_record(message);
    rd_kafka_message_destroy(message);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      answer(error);
      return;
    }
    --count;
  }
  puts("ok");
}

static void offset_for_time(char **words) {
  rd_kafka_topic_partition_list_t *list = positions(words, 3);  // takes times where there are offsets
  rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(consumer, list, kTimeoutMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const int64_t offset = list->elems[0].offset;
    printf("ok %lld\n", (long long)(offset == RD_KAFKA_OFFSET_END ? -1 : offset));
  } else {
    answer(error);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

static void watermarks(char **words) {
  int64_t low = -1, high = -1;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(consumer, words[0], atoi(words[1]), &low, &high, kTimeoutMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    printf("ok %lld %lld\n", (long long)low, (long long)high);
  } else {
    answer(error);
  }
}

static void run(rd_kafka_queue_t *queue, const char *command, char **words, int count) {
  if (strcmp(command, "version") == 0) {
    printf("ok librdkafka %s\n", rd_kafka_version_str());
  } else if (strcmp(command, "create_topic") == 0) {
    answer(create_topic(queue, words, count));
  } else if (strcmp(command, "delete_topic") == 0) {
    answer(delete_topic(queue, words[0]));
  } else if (strcmp(command, "grow_topic") == 0) {
    answer(grow_topic(queue, words));
  } else if (strcmp(command, "partitions") == 0) {
    count_partitions(words[0]);
  } else if (strcmp(command, "producer") == 0) {
    start_producer(words, count);
    puts("ok");
  } else if (strcmp(command, "flush") == 0) {
    flush();
  } else if (strcmp(command, "consumer") == 0) {
    start_consumer(words, count);
    puts("ok");
  } else if (strcmp(command, "assign") == 0) {
    rd_kafka_topic_partition_list_t *list = positions(words, count);
    answer(rd_kafka_assign(consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
  } else if (strcmp(command, "seek") == 0) {
    answer(seek(words));
  } else if (strcmp(command, "read") == 0) {
    read_records(atoi(words[0]), atoi(words[1]));
  } else if (strcmp(command, "offset_for_time") == 0) {
    offset_for_time(words);
  } else if (strcmp(command, "watermarks") == 0) {
    watermarks(words);
  } else {
    die(command, "no such command");
  }
}

int main(int argc, char **argv) {
  if (argc != 2) die("usage", "librdkafka_agent HOST:PORT");
  address = argv[1];
  admin = new_handle(RD_KAFKA_CONSUMER, new_conf());
  rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) {
    char *words[kWordsMax];
    int count = 0;
    for (char *word = strtok(line, " \n"); word != NULL && count < kWordsMax; word = strtok(NULL, " \n")) words[count++] = word;
    if (strcmp(words[0], "send") == 0) {
      send_record(words + 1, count - 1);  // its report comes with the flush
      rd_kafka_poll(producer, 0);
      continue;
    }
    run(queue, words[0], words + 1, count - 1);
    fflush(stdout);
  }
  return 0;
}
