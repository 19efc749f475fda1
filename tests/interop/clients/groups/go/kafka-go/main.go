// kafka-go as members of groups, by its ConsumerGroup and a Reader for each partition: ../../README.md has the commands.
package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"kurier/tests/interop/clients/groups/go/members"
)

var balancers = map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{}, "roundrobin": kafka.RoundRobinGroupBalancer{}}

func member(given members.Settings) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: given.Group, Brokers: []string{given.Address}, Topics: []string{given.Topic},
		Dialer:         &kafka.Dialer{ClientID: given.Name, Timeout: 5 * time.Second},
		GroupBalancers: []kafka.GroupBalancer{balancers[given.Assignor]}, HeartbeatInterval: 300 * time.Millisecond,
		SessionTimeout: given.Session, RebalanceTimeout: time.Minute, JoinGroupBackoff: 100 * time.Millisecond,
		StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return err
	}
	for given.Leaving.Err() == nil {
		generation, err := group.Next(given.Leaving)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				members.Complain(given.Name, err)
			}
			continue
		}
		run(given, generation)
	}
	return group.Close()
}

// Until the generation ends.
func run(given members.Settings, generation *kafka.Generation) {
	var partitions []int32
	ended := make(chan struct{})
	for _, assigned := range generation.Assignments[given.Topic] {
		partitions = append(partitions, int32(assigned.ID))
	}
	members.SayOwns(given.Name, nil) // everybody begins anew with every generation
	members.SayOwns(given.Name, partitions)
	var committing sync.Mutex // requests that share the generation's connection wait for each other in a busy loop
	commit := func(partition int, offset int64) error {
		committing.Lock()
		defer committing.Unlock()
		return generation.CommitOffsets(map[string]map[int]int64{given.Topic: {partition: offset}})
	}
	for _, assigned := range generation.Assignments[given.Topic] {
		generation.Start(func(ctx context.Context) { consume(ctx, given, commit, assigned) })
	}
	generation.Start(func(ctx context.Context) {
		<-ctx.Done()
		close(ended)
	})
	select {
	case <-ended:
	case <-given.Leaving.Done():
	}
}

func consume(ctx context.Context, given members.Settings, commit func(int, int64) error, assigned kafka.PartitionAssignment) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{given.Address}, Topic: given.Topic, Partition: assigned.ID,
		MinBytes: 1, MaxBytes: 1_000_000, MaxWait: 200 * time.Millisecond, ReadBackoffMin: 20 * time.Millisecond,
		ReadBackoffMax: 100 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(assigned.Offset); err != nil {
		panic(err)
	}
	for {
		record, err := reader.ReadMessage(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			members.Complain(given.Name, err)
			continue
		}
		members.Say(members.Event("got", given.Name, record.Partition, record.Offset, string(record.Value)))
		if commit(record.Partition, record.Offset+1) == nil {
			members.Say(members.Event("committed", given.Name, record.Partition, record.Offset+1))
		}
	}
}

func main() { members.Serve(member) }
