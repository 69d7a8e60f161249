package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A member of a consumer group. It says on standard output what happens, a line each: "A" after an assignment,
// "R partition offset key" for a record, "C" after a commit, "E reason" for an error that it goes on after. It leaves
// the group when standard input ends.
type member struct {
	out  *bufio.Writer
	lock sync.Mutex
}

func runMember(client, bootstrap, group, topic string) {
	m := &member{out: bufio.NewWriter(os.Stdout)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if client == "franz-go" {
		m.franz(ctx, bootstrap, group, topic)
	} else {
		m.sarama(ctx, bootstrap, group, topic)
	}
}

func (m *member) say(format string, values ...any) {
	m.lock.Lock()
	defer m.lock.Unlock()
	fmt.Fprintf(m.out, format+"\n", values...)
	m.out.Flush()
}

func (m *member) franz(ctx context.Context, bootstrap, group, topic string) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { m.say("A") }),
	)
	exitOn(err)
	for ctx.Err() == nil {
		poll, done := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(poll)
		done()
		count := 0
		fetches.EachRecord(func(r *kgo.Record) {
			m.say("R %d %d %s", r.Partition, r.Offset, r.Key)
			count++
		})
		if count > 0 {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				m.say("E %v", err)
			} else {
				m.say("C")
			}
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}

func (m *member) sarama(ctx context.Context, bootstrap, group, topic string) {
	config := saramaConfig()
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	exitOn(err)
	go func() {
		for err := range consumer.Errors() {
			m.say("E %v", err)
		}
	}()
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
			m.say("E %v", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	exitOn(consumer.Close())
}

// Setup begins a generation.
func (m *member) Setup(sarama.ConsumerGroupSession) error {
	m.say("A")
	return nil
}

// Cleanup ends it.
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim reads one partition for as long as the generation lasts.
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.say("R %d %d %s", message.Partition, message.Offset, message.Key)
		session.MarkMessage(message, "")
		// What is there already is read before it is committed.
		if len(claim.Messages()) == 0 {
			session.Commit()
			m.say("C")
		}
	}
	return nil
}
