// franz-go as members of groups: ../../README.md has the commands.
package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kurier/tests/interop/clients/groups/go/members"
)

var balancers = map[string]func() kgo.GroupBalancer{"range": kgo.RangeBalancer, "roundrobin": kgo.RoundRobinBalancer,
	"sticky": kgo.StickyBalancer, "cooperative-sticky": kgo.CooperativeStickyBalancer}

func member(given members.Settings) error {
	owned := map[int32]bool{} // used by callbacks, which come one at a time
	assigned := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		for _, partition := range partitions[given.Topic] {
			owned[partition] = true
		}
		members.SayOwns(given.Name, slices.Collect(maps.Keys(owned)))
	}
	revoked := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		for _, partition := range partitions[given.Topic] {
			delete(owned, partition)
		}
		members.SayOwns(given.Name, slices.Collect(maps.Keys(owned)))
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(given.Address), kgo.ClientID(given.Name), kgo.ConsumerGroup(given.Group), kgo.ConsumeTopics(given.Topic),
		kgo.Balancers(balancers[given.Assignor]()), kgo.SessionTimeout(given.Session), kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.RebalanceTimeout(time.Minute), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.BlockRebalanceOnPoll(), kgo.OnPartitionsAssigned(assigned), kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(revoked),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	}
	if given.Instance != "" {
		options = append(options, kgo.InstanceID(given.Instance))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	for given.Leaving.Err() == nil {
		if records := client.PollRecords(given.Leaving, 500).Records(); len(records) > 0 {
			read(given.Name, client, records)
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	return nil
}

func read(name string, client *kgo.Client, records []*kgo.Record) {
	positions := map[int32]int64{}
	var lines strings.Builder
	for _, record := range records {
		positions[record.Partition] = record.Offset + 1
		lines.WriteString(members.Event("got", name, record.Partition, record.Offset, string(record.Value)))
	}
	members.Say(lines.String())
	if client.CommitRecords(context.Background(), records...) != nil {
		return // whoever has the partitions next reads these again, or the next commit covers them
	}
	lines.Reset()
	for partition, offset := range positions {
		lines.WriteString(members.Event("committed", name, partition, offset))
	}
	members.Say(lines.String())
}

func main() { members.Serve(member) }
