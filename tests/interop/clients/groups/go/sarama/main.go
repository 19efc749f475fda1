// sarama as members of groups: ../../README.md has the commands. Its Commit does not say whether the node has answered.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
	"kurier/tests/interop/clients/groups/go/members"
)

var strategies = map[string]func() sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange,
	"roundrobin": sarama.NewBalanceStrategyRoundRobin, "sticky": sarama.NewBalanceStrategySticky}

func member(given members.Settings) error {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.ClientID = given.Name
	config.Consumer.Group.Session.Timeout = given.Session
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[given.Assignor]()}
	config.Consumer.Group.InstanceId = given.Instance
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Metadata.Retry.Backoff = 50 * time.Millisecond
	group, err := sarama.NewConsumerGroup([]string{given.Address}, given.Group, config)
	if err != nil {
		return err
	}
	for given.Leaving.Err() == nil {
		// A session: from an assignment to the next rebalance.
		if err := group.Consume(given.Leaving, []string{given.Topic}, handler(given)); err != nil && !errors.Is(err, context.Canceled) {
			members.Complain(given.Name, err)
		}
	}
	return group.Close()
}

type handler members.Settings

func (h handler) Setup(session sarama.ConsumerGroupSession) error {
	members.SayOwns(h.Name, session.Claims()[h.Topic])
	return nil
}

func (h handler) Cleanup(sarama.ConsumerGroupSession) error {
	members.SayOwns(h.Name, nil)
	return nil
}

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case record, more := <-claim.Messages():
			if !more {
				return nil
			}
			members.Say(members.Event("got", h.Name, record.Partition, record.Offset, string(record.Value)))
			session.MarkMessage(record, "")
			if len(claim.Messages()) == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func main() { members.Serve(member) }
