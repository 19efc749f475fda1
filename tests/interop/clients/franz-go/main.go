// franz-go doing what tests/interop/clients.py asks for: the commands are in tests/interop/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var out = bufio.NewWriterSize(os.Stdout, 1<<20)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

type report struct {
	partition int32
	offset    int64
	err       error
}

type agent struct {
	address         string
	admin           *kgo.Client
	producer        *kgo.Client
	sent            []*report
	consumerOptions []kgo.Opt
	consumer        *kgo.Client
	assigned        map[string]map[int32]kgo.Offset
	polled          []*kgo.Record
}

func fail(err error) {
	if err != nil {
		panic(err)
	}
}

func number(word string) int64 {
	value, err := strconv.ParseInt(word, 10, 64)
	fail(err)
	return value
}

func toBytes(word string) []byte {
	if word == "~" {
		return nil
	}
	value, err := hex.DecodeString(word[1:])
	fail(err)
	return value
}

func toWord(value []byte) string {
	if value == nil {
		return "~"
	}
	return "=" + hex.EncodeToString(value)
}

func settings(words []string) map[string]string {
	given := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		given[name] = value
	}
	return given
}

func failure(err error) string {
	var known *kerr.Error
	if errors.As(err, &known) {
		return fmt.Sprintf("%d %s", known.Code, known.Message)
	}
	return "local " + strings.ReplaceAll(err.Error(), "\n", " ")
}

func (a *agent) client(options ...kgo.Opt) *kgo.Client {
	// Lost connections are part of what is checked, and are not to take long.
	quick := []kgo.Opt{kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50 * time.Millisecond)}
	client, err := kgo.NewClient(append(append(quick, options...), kgo.SeedBrokers(a.address))...)
	fail(err)
	return client
}

func (a *agent) createTopic(words []string) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = words[0], int32(number(words[1])), 1
	for name, value := range settings(words[2:]) {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = name, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, config)
	}
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(context.Background(), a.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func (a *agent) deleteTopic(name string) error {
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 30000
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	request.Topics = append(request.Topics, topic)
	request.TopicNames = append(request.TopicNames, name)
	response, err := request.RequestWith(context.Background(), a.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func (a *agent) growTopic(words []string) error {
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.TimeoutMillis = 30000
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = words[0], int32(number(words[1]))
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(context.Background(), a.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func (a *agent) partitions(name string) (int, error) {
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(context.Background(), a.admin)
	if err != nil {
		return 0, err
	}
	if err := kerr.ErrorForCode(response.Topics[0].ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return 0, err
	}
	return len(response.Topics[0].Partitions), nil
}

// The offset of the first record at or after a time, or a special one (-1 the end, -2 the beginning).
func (a *agent) offsetFor(topicName string, partition, timestamp int64) (int64, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = topicName
	asked := kmsg.NewListOffsetsRequestTopicPartition()
	asked.Partition, asked.Timestamp = int32(partition), timestamp
	topic.Partitions = append(topic.Partitions, asked)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(context.Background(), a.admin)
	if err != nil {
		return 0, err
	}
	answer := response.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}

func (a *agent) startProducer(given map[string]string) {
	if a.producer != nil {
		a.producer.Close()
	}
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}[given["acks"]]
	linger := time.Duration(number(given["linger_ms"])) * time.Millisecond
	byKey := kgo.StickyKeyPartitioner(nil)
	options := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.ProducerBatchCompression(codecs[given["codec"]]), kgo.ProducerLinger(linger),
		kgo.AllowAutoTopicCreation(), kgo.MaxBufferedRecords(1_000_000), kgo.BrokerMaxWriteBytes(100_000_000),
		// One limit for both: a record must fit into a batch.
		kgo.ProducerBatchMaxBytes(int32(max(number(given["batch_bytes"]), number(given["size_max"])))),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
			keyed := byKey.ForTopic(topic)
			return func(record *kgo.Record, partitions int) int {
				if record.Partition >= 0 {
					return int(record.Partition)
				}
				return keyed.Partition(record, partitions)
			}
		})),
	}
	if given["idempotence"] == "false" {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	a.producer = a.client(options...)
}

func (a *agent) send(words []string) {
	record := &kgo.Record{Topic: words[0], Partition: int32(number(words[1])), Key: toBytes(words[3]), Value: toBytes(words[4])}
	if words[2] != "-1" {
		record.Timestamp = time.UnixMilli(number(words[2]))
	}
	for i := 5; i < len(words); i += 2 {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: string(toBytes(words[i])), Value: toBytes(words[i+1])})
	}
	result := &report{}
	a.sent = append(a.sent, result)
	a.producer.Produce(context.Background(), record, func(record *kgo.Record, err error) {
		*result = report{record.Partition, record.Offset, err}
	})
}

func (a *agent) flush() error {
	if err := a.producer.Flush(context.Background()); err != nil {
		return err
	}
	for _, result := range a.sent {
		if result.err != nil {
			fmt.Fprintln(out, "failed", failure(result.err))
		} else {
			fmt.Fprintln(out, "sent", result.partition, result.offset)
		}
	}
	a.sent = nil
	return nil
}

func (a *agent) setConsumer(given map[string]string) {
	a.stopConsumer()
	isolation := kgo.ReadUncommitted()
	if given["isolation"] == "read_committed" {
		isolation = kgo.ReadCommitted()
	}
	reset := map[string]kgo.Offset{"none": kgo.NoResetOffset(), "earliest": kgo.NewOffset().AtStart(), "latest": kgo.NewOffset().AtEnd()}
	a.consumerOptions = []kgo.Opt{
		kgo.FetchIsolationLevel(isolation), kgo.ConsumeResetOffset(reset[given["reset"]]),
		kgo.FetchMinBytes(int32(number(given["fetch_min_bytes"]))),
		kgo.FetchMaxWait(time.Duration(number(given["fetch_wait_ms"])) * time.Millisecond),
	}
}

func (a *agent) stopConsumer() {
	if a.consumer != nil {
		a.consumer.Close()
	}
	a.consumer, a.polled = nil, nil
}

func position(word string) kgo.Offset {
	switch word {
	case "begin":
		return kgo.NewOffset().AtStart()
	case "end":
		return kgo.NewOffset().AtEnd()
	}
	return kgo.NewOffset().At(number(word))
}

func (a *agent) assign(words []string) {
	a.stopConsumer()
	a.assigned = map[string]map[int32]kgo.Offset{}
	for i := 0; i < len(words); i += 3 {
		if a.assigned[words[i]] == nil {
			a.assigned[words[i]] = map[int32]kgo.Offset{}
		}
		a.assigned[words[i]][int32(number(words[i+1]))] = position(words[i+2])
	}
	a.consumer = a.client(append(a.consumerOptions, kgo.ConsumePartitions(a.assigned))...)
}

func (a *agent) seek(words []string) {
	a.polled = nil
	partition := int32(number(words[1]))
	a.consumer.RemoveConsumePartitions(map[string][]int32{words[0]: {partition}})
	a.consumer.AddConsumePartitions(map[string]map[int32]kgo.Offset{words[0]: {partition: position(words[2])}})
}

// Whether so many came in time.
func (a *agent) read(count, timeoutMs int64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(timeoutMs)*time.Millisecond)
	defer cancel()
	for ; count > 0; count-- {
		for len(a.polled) == 0 {
			fetches := a.consumer.PollRecords(ctx, 10_000)
			for _, failed := range fetches.Errors() {
				if errors.Is(failed.Err, context.DeadlineExceeded) {
					return false, nil
				}
				return false, failed.Err
			}
			a.polled = fetches.Records()
		}
		record := a.polled[0]
		a.polled = a.polled[1:]
		kind := "create"
		if record.Attrs.TimestampType() == 1 {
			kind = "append"
		}
		fmt.Fprint(out, "record ", record.Topic, " ", record.Partition, " ", record.Offset, " ", kind, " ", record.Timestamp.UnixMilli(),
			" ", toWord(record.Key), " ", toWord(record.Value))
		for _, header := range record.Headers {
			fmt.Fprint(out, " ", toWord([]byte(header.Key)), " ", toWord(header.Value))
		}
		fmt.Fprintln(out)
	}
	return true, nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return "franz-go " + module.Version
		}
	}
	return "franz-go"
}

// The last line of the answer.
func (a *agent) run(command string, words []string) (string, error) {
	switch command {
	case "version":
		return "ok " + version(), nil
	case "create_topic":
		return "ok", a.createTopic(words)
	case "delete_topic":
		return "ok", a.deleteTopic(words[0])
	case "grow_topic":
		return "ok", a.growTopic(words)
	case "partitions":
		count, err := a.partitions(words[0])
		return fmt.Sprint("ok ", count), err
	case "producer":
		a.startProducer(settings(words))
	case "flush":
		return "ok", a.flush()
	case "consumer":
		a.setConsumer(settings(words))
	case "assign":
		a.assign(words)
	case "seek":
		a.seek(words)
	case "read":
		inTime, err := a.read(number(words[0]), number(words[1]))
		if !inTime {
			return "timeout", err
		}
		return "ok", err
	case "offset_for_time":
		offset, err := a.offsetFor(words[0], number(words[1]), number(words[2]))
		return fmt.Sprint("ok ", offset), err
	case "watermarks":
		low, err := a.offsetFor(words[0], number(words[1]), -2)
		if err != nil {
			return "", err
		}
		high, err := a.offsetFor(words[0], number(words[1]), -1)
		return fmt.Sprint("ok ", low, " ", high), err
	default:
		panic(command)
	}
	return "ok", nil
}

func main() {
	a := &agent{address: os.Args[1]}
	a.admin = a.client()
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		if words[0] == "send" {
			a.send(words[1:]) // its report comes with the flush
			continue
		}
		answer, err := a.run(words[0], words[1:])
		if err != nil {
			answer = "error " + failure(err)
		}
		fmt.Fprintln(out, answer)
		fail(out.Flush())
	}
}
