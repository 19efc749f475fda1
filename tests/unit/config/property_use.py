#!/usr/bin/env python3
"""The table of properties is honest: a row that says that it works names who reads it, and a row that says that it has no
effect is read by nobody.

Followed in the sources, not at run time: from the property's name to the field of NodeConfig or TopicConfig that config/
fills with it, and from the field to the code outside config/ that uses it.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent

# property that works: (the field that it fills, who uses the field)
READ_BY = {
    "num.partitions": ("log.num_partitions", "broker/node.cc"),
    "log.dir": ("log_dirs", "broker/start.cc"),
    "log.dirs": ("log_dirs", "broker/start.cc"),
    "log.retention.check.interval.ms": ("log.retention_check_interval", "broker/node.cc"),
    "log.flush.offset.checkpoint.interval.ms": ("log.flush_offset_checkpoint_interval", "broker/node.cc"),
    "log.flush.start.offset.checkpoint.interval.ms": ("log.flush_start_offset_checkpoint_interval", "broker/node.cc"),
    "log.initial.task.delay.ms": ("log.initial_task_delay", "broker/node.cc"),
    "log.cleaner.enable": ("log.cleaner_enable", "broker/node.cc"),
    "log.cleaner.threads": ("log.cleaner_threads", "broker/node.cc"),
    "log.cleaner.io.max.bytes.per.second": ("log.cleaner_io_max_bytes_per_second", "broker/log_cleaner_runner.cc"),
    "log.cleaner.dedupe.buffer.size": ("log.cleaner_dedupe_buffer_bytes", "broker/log_cleaner_runner.cc"),
    "log.cleaner.io.buffer.size": ("log.cleaner_io_buffer_bytes", "broker/log_cleaner_runner.cc"),
    "log.cleaner.io.buffer.load.factor": ("log.cleaner_io_buffer_load_factor", "broker/log_cleaner_runner.cc"),
    "log.cleaner.backoff.ms": ("log.cleaner_backoff", "broker/log_cleaner_runner.cc"),
    "auto.create.topics.enable": ("auto_create_topics_enable", "broker/api/metadata.cc"),
    "producer.id.expiration.ms": ("producer_id_expiration", "broker/log_manager.cc"),
    "producer.id.expiration.check.interval.ms": ("producer_id_expiration_check_interval", "broker/node.cc"),
    "metadata.log.max.record.bytes.between.snapshots": ("metadata_log.max_record_bytes_between_snapshots", "broker/node.cc"),
    "metadata.log.max.snapshot.interval.ms": ("metadata_log.max_snapshot_interval", "broker/node.cc"),
    "metadata.log.dir": ("metadata_log_dir", "broker/start.cc"),
    "metadata.log.segment.bytes": ("metadata_log.segment_bytes", "broker/node.cc"),
    "internal.metadata.log.segment.bytes": ("metadata_log.segment_bytes", "broker/node.cc"),
    "metadata.log.segment.ms": ("metadata_log.segment_age_max", "broker/node.cc"),
    "metadata.max.retention.bytes": ("metadata_log.retention_bytes", "broker/node.cc"),
    "metadata.max.retention.ms": ("metadata_log.retention", "broker/node.cc"),
    "broker.id": ("node_id", "broker/node.cc"),
    "node.id": ("node_id", "broker/node.cc"),
    "broker.rack": ("rack", "broker/node.cc"),
    "delete.topic.enable": ("delete_topic_enable", "broker/api/topic_changes.cc"),
    "default.replication.factor": ("default_replication_factor", "broker/node.cc"),
    "max.incremental.fetch.session.cache.slots": ("max_incremental_fetch_session_cache_slots", "broker/broker.cc"),
    "fetch.max.bytes": ("fetch_max_bytes", "broker/api/fetch.cc"),
    "max.request.partition.size.limit": ("max_request_partition_size_limit", "broker/api/describe_topic_partitions.cc"),
    "process.roles": ("is_controller", "broker/node.cc"),
    "controller.listener.names": ("controller_listener_names", "broker/broker.cc"),
    "listeners": ("listeners", "broker/node.cc"),
    "advertised.listeners": ("advertised_listeners", "broker/node.cc"),
    "socket.send.buffer.bytes": ("network.socket_send_buffer_bytes", "broker/server_options.cc"),
    "socket.receive.buffer.bytes": ("network.socket_receive_buffer_bytes", "broker/server_options.cc"),
    "socket.request.max.bytes": ("network.socket_request_max_bytes", "broker/server_options.cc"),
    "socket.listen.backlog.size": ("network.socket_listen_backlog", "broker/server_options.cc"),
    "max.connections": ("network.max_connections", "broker/server_options.cc"),
    "max.connections.per.ip": ("network.max_connections_per_ip", "broker/server_options.cc"),
    "max.connections.per.ip.overrides": ("network.max_connections_per_ip_overrides", "broker/server_options.cc"),
    "max.connection.creation.rate": ("network.max_connection_creation_rate", "broker/server_options.cc"),
    "connections.max.idle.ms": ("network.connections_max_idle", "broker/server_options.cc"),
    "queued.max.request.bytes": ("network.queued_max_request_bytes", "broker/server_options.cc"),
    "replica.high.watermark.checkpoint.interval.ms": ("replica.high_watermark_checkpoint_interval", "broker/node.cc"),
    "offsets.commit.timeout.ms": ("offsets.commit_timeout", "broker/group_coordinators.cc"),
    "offset.metadata.max.bytes": ("offsets.metadata_max_bytes", "broker/group_coordinators.cc"),
    "offsets.retention.minutes": ("offsets.retention", "broker/group_coordinators.cc"),
    "offsets.retention.check.interval.ms": ("offsets.retention_check_interval", "broker/group_coordinators.cc"),
    "group.min.session.timeout.ms": ("group.min_session_timeout", "broker/group_coordinators.cc"),
    "group.max.session.timeout.ms": ("group.max_session_timeout", "broker/group_coordinators.cc"),
    "group.initial.rebalance.delay.ms": ("group.initial_rebalance_delay", "broker/group_coordinators.cc"),
    "group.max.size": ("group.max_size", "broker/group_coordinators.cc"),
    "offsets.topic.num.partitions": ("offsets.topic", "broker/api/metadata.cc"),
    "offsets.topic.replication.factor": ("offsets.topic", "broker/api/metadata.cc"),
    "offsets.topic.segment.bytes": ("offsets.topic", "broker/api/metadata.cc"),
    "transaction.state.log.num.partitions": ("transaction.topic", "broker/api/metadata.cc"),
    "transaction.state.log.replication.factor": ("transaction.topic", "broker/api/metadata.cc"),
    "transaction.state.log.min.isr": ("transaction.topic", "broker/api/metadata.cc"),
    "transaction.state.log.segment.bytes": ("transaction.topic", "broker/api/metadata.cc"),
    "share.coordinator.state.topic.num.partitions": ("share_state_topic", "broker/api/metadata.cc"),
    "share.coordinator.state.topic.replication.factor": ("share_state_topic", "broker/api/metadata.cc"),
    "share.coordinator.state.topic.min.isr": ("share_state_topic", "broker/api/metadata.cc"),
    "share.coordinator.state.topic.segment.bytes": ("share_state_topic", "broker/api/metadata.cc"),
    "kurier.state.dir": ("state_dir", "broker/start.cc"),
    "kurier.shards": ("shards", "broker/node.cc"),
    "num.recovery.threads.per.data.dir": ("log.recovery_threads_per_data_dir", "broker/node.cc"),
}
# property that works through what topics inherit: (the field of TopicConfig, who uses it)
READ_BY_TOPICS = {
    "log.segment.bytes": ("segment_bytes", "broker/log_manager.cc"),
    "log.roll.ms": ("segment_age_max", "broker/log_manager.cc"),
    "log.roll.hours": ("segment_age_max", "broker/log_manager.cc"),
    "log.roll.jitter.ms": ("segment_jitter", "broker/log_manager.cc"),
    "log.roll.jitter.hours": ("segment_jitter", "broker/log_manager.cc"),
    "log.retention.ms": ("retention", "broker/log_manager.cc"),
    "log.retention.minutes": ("retention", "broker/log_manager.cc"),
    "log.retention.hours": ("retention", "broker/log_manager.cc"),
    "log.retention.bytes": ("retention_bytes", "broker/log_manager.cc"),
    "log.cleanup.policy": ("delete_old", "broker/log_manager.cc"),
    "log.cleaner.min.cleanable.ratio": ("min_cleanable_dirty_ratio", "broker/log_manager.cc"),
    "log.cleaner.delete.retention.ms": ("delete_retention", "broker/log_manager.cc"),
    "log.cleaner.min.compaction.lag.ms": ("min_compaction_lag", "broker/log_manager.cc"),
    "log.cleaner.max.compaction.lag.ms": ("max_compaction_lag", "broker/log_manager.cc"),
    "log.index.size.max.bytes": ("segment_index_bytes", "broker/log_manager.cc"),
    "log.index.interval.bytes": ("index_interval_bytes", "broker/log_manager.cc"),
    "log.flush.interval.messages": ("flush_messages", "broker/log_manager.cc"),
    "log.flush.interval.ms": ("flush_interval", "broker/partition.cc"),
    "log.flush.scheduler.interval.ms": ("flush_interval", "broker/partition.cc"),
    "log.segment.delete.delay.ms": ("file_delete_delay", "broker/log_manager.cc"),
    "log.preallocate": ("preallocate", "broker/log_manager.cc"),
    "log.message.timestamp.type": ("timestamp_type", "broker/batch_rules.cc"),
    "log.message.timestamp.before.max.ms": ("timestamp_before_max", "broker/batch_rules.cc"),
    "log.message.timestamp.after.max.ms": ("timestamp_after_max", "broker/batch_rules.cc"),
    "min.insync.replicas": ("min_insync_replicas", "broker/log_manager.cc"),
    "message.max.bytes": ("max_message_bytes", "broker/batch_rules.cc"),
    "max.decompressed.message.bytes": ("max_decompressed_message_bytes", "broker/batch_rules.cc"),
    "compression.type": ("compression", "broker/batch_rules.cc"),
    "compression.gzip.level": ("gzip_level", "broker/batch_rules.cc"),
    "compression.lz4.level": ("lz4_level", "broker/batch_rules.cc"),
    "compression.zstd.level": ("zstd_level", "broker/batch_rules.cc"),
}
# Works as a rule of the start: the code of config/ that refuses what contradicts it.
READ_BY_THE_START = {
    "listener.security.protocol.map": "config/load_identity.cc",
    "controller.quorum.voters": "config/load_identity.cc",
    "controller.quorum.bootstrap.servers": "config/load_identity.cc",
}
# Has no effect although its field is used, and why that is no contradiction.
USED_WITHOUT_EFFECT = {
    "replica.lag.time.max.ms": "the leader core is told, and there are no followers yet",
}


def rows():
    """name: (support, topic properties that inherit it)"""
    text = "".join(path.read_text() for path in sorted((ROOT / "config").glob("properties_*.cc")))
    table = {name: support for name, support in
             re.findall(r'\{"([a-z0-9.]+)",\s*k\w+,(?:(?!\{"[a-z0-9.]+",\s*k).)*?\b(kWorks|kNoEffect|kRefused),\s*(?:""|k\w+),\s*"',
                        text, re.S)}
    topics = re.findall(r'\{"([a-z0-9.]+)",\s*k\w+,\s*(?:"[^"]*"|k\w+),\s*"[^"]*",\s*"([a-z0-9.,]*)",\s*kPublic', text)
    return table, {name: synonyms.split(",") for name, synonyms in topics if synonyms}


def statements(path):
    text = re.sub(r"//[^\n]*", "", (ROOT / path).read_text())
    return re.split(r"[;]", text)


def assigned(paths):
    """property: the fields that are assigned from it, as `network.max_connections`"""
    fields = {}
    for path in paths:
        for statement in statements(path):
            target = re.search(r"([\w.\[\]]+)\s*=\s*[^=]", statement)
            if not target:
                continue
            left = target.group(1)
            for name in re.findall(r'"([a-z][a-z0-9.]+)"', statement[target.end() - 1:]):
                fields.setdefault(name, set()).add(left)
    return fields


def uses(path, field):
    return re.search(r"[.>]" + re.escape(field.split(".")[-1]) + r"\b", (ROOT / path).read_text())


def sources_outside_config():
    for folder in ("broker", "storage", "replication", "tools"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cc", ".h"):
                yield path


def faults():
    table, inherited = rows()
    fields = assigned(["config/load_values.cc"])
    topic_fields = assigned(["config/topic_config.cc"])
    identity = (ROOT / "config/load_identity.cc").read_text()
    limits = (ROOT / "config/load.cc").read_text().split("void check_connection_limits")[1].split("}  // namespace")[0]
    identity += limits
    if len(table) < 250:
        yield f"only {len(table)} rows were found: this test cannot read the table"
    for name, support in table.items():
        claims = [claim for claim in (READ_BY, READ_BY_TOPICS, READ_BY_THE_START) if name in claim]
        if support == "kWorks" and not claims:
            yield f"{name} is said to work, and nobody is named who reads it"
        if support != "kWorks" and claims:
            yield f"{name} is said to have no effect, and somebody is named who reads it"
    for name, (field, path) in READ_BY.items():
        is_filled = any(left.endswith(field) or left == field.replace("metadata_log.", "metadata.") for left in fields.get(name, ())) \
            or (f'"{name}"' in identity and re.search(r"\b" + re.escape(field.split(".")[-1]) + r"\b", identity))
        if not is_filled:
            yield f"{name} does not fill {field}: {fields.get(name)}"
        if not uses(path, field):
            yield f"{name}: {path} does not use {field}"
    for name, (field, path) in READ_BY_TOPICS.items():
        topic_names = [topic for topic, synonyms in inherited.items() if name in synonyms or
                       (name == "log.flush.scheduler.interval.ms" and topic == "flush.ms")]
        body = (ROOT / "config/topic_config.cc").read_text()
        is_filled = any(f"topic.{field}" in topic_fields.get(topic, ()) for topic in topic_names) or \
            any(f'"{topic}"' in body and f"topic.{field} =" in body for topic in topic_names)
        if not topic_names or not is_filled:
            yield f"{name} does not reach TopicConfig::{field}: {topic_names}"
        if not uses(path, field):
            yield f"{name}: {path} does not use {field}"
    for name, path in READ_BY_THE_START.items():
        if f'"{name}"' not in (ROOT / path).read_text():
            yield f"{name}: {path} does not read it"
    everything = {path: path.read_text() for path in sources_outside_config()}
    for name, support in table.items():
        if support == "kWorks" or name in USED_WITHOUT_EFFECT:
            continue
        for left in fields.get(name, ()):
            group, _, field = left.rpartition(".")
            if not group or "{" in left or field == "topic":
                continue
            pattern = re.compile(r"\b(?:" + re.escape(group) + (r"|metadata_log" if group == "metadata" else "") + r")\." + field + r"\b")
            for path, text in everything.items():
                if pattern.search(text):
                    yield f"{name} is said to have no effect, and {path.relative_to(ROOT)} uses {left}"


def main():
    table, _ = rows()
    found = list(faults())
    for fault in found:
        print("FAILED:", fault)
    print(f"{len(table) - len(found)} passed, {len(found)} failed, 0 skipped")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
