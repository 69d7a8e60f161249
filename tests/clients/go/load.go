package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// A load: writers and readers that go on through every fault, and the history of what they saw.
//
// Commands come on standard input: "stop" ends the writers after what is in flight, "drain" reads every
// partition with a fresh client and ends the program. "acknowledged N" goes to standard output.
type loadSpec struct {
	Bootstrap string       `json:"bootstrap"`
	History   string       `json:"history"`
	Topics    []loadTopic  `json:"topics"`
	Writers   []loadWriter `json:"writers"`
	Readers   int          `json:"readers"`
}

type loadTopic struct {
	Name       string `json:"name"`
	Partitions int32  `json:"partitions"`
}

type loadWriter struct {
	Name       string   `json:"name"`
	Client     string   `json:"client"`
	ID         uint64   `json:"id"`
	Idempotent bool     `json:"idempotent"`
	Acks       string   `json:"acks"`
	Topics     []string `json:"topics"`
	Rate       int      `json:"rate"`
	Size       int      `json:"size"`
	Codec      string   `json:"codec"`
}

const (
	damaged      = ^uint64(0)
	tick         = 5 * time.Millisecond
	flushLimit   = 60 * time.Second
	drainLimit   = 30 * time.Second
	backoff      = 50 * time.Millisecond
	bufferedMost = 2000
)

// The lines of the history; see tests/harness/history.rs.
type writerLine struct {
	F          string `json:"f"`
	W          string `json:"w"`
	Idempotent bool   `json:"idempotent"`
}

type sendLine struct {
	F      string `json:"f"`
	W      string `json:"w"`
	P      string `json:"p"`
	V      uint64 `json:"v"`
	T0     uint64 `json:"t0"`
	T1     uint64 `json:"t1"`
	Type   string `json:"type"`
	Offset *int64 `json:"offset,omitempty"`
	Error  string `json:"error,omitempty"`
}

type readLine struct {
	F  string      `json:"f"`
	W  string      `json:"w,omitempty"`
	P  string      `json:"p"`
	T0 uint64      `json:"t0"`
	T1 uint64      `json:"t1"`
	R  [][2]uint64 `json:"r"`
}

type history struct {
	mutex sync.Mutex
	out   *bufio.Writer
}

func (h *history) write(line any) {
	text, err := json.Marshal(line)
	exitOn(err)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	_, err = h.out.Write(append(text, '\n'))
	exitOn(err)
}

func (h *history) flush() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	exitOn(h.out.Flush())
}

// now is the machine's monotonic clock, which every process reads alike.
func now() uint64 {
	var t unix.Timespec
	exitOn(unix.ClockGettime(unix.CLOCK_MONOTONIC, &t))
	return uint64(t.Nano())
}

// valueOf makes a record's bytes from its number: the number, a checksum, and bytes that follow from it.
func valueOf(number uint64, size int) []byte {
	length := 12 + int(mix(number)%uint64(size+1))
	value := make([]byte, length)
	binary.BigEndian.PutUint64(value, number)
	state := number
	for i := 12; i < length; i++ {
		if i%8 == 4 {
			state = mix(state)
		}
		value[i] = byte(state >> (8 * (i % 8)))
	}
	binary.BigEndian.PutUint32(value[8:], crc32.ChecksumIEEE(value[12:])^uint32(number))
	return value
}

func numberOf(value []byte) uint64 {
	if len(value) < 12 {
		return damaged
	}
	number := binary.BigEndian.Uint64(value)
	if binary.BigEndian.Uint32(value[8:]) != crc32.ChecksumIEEE(value[12:])^uint32(number) {
		return damaged
	}
	return number
}

func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB
	return x ^ (x >> 31)
}

func place(topic string, partition int32) string {
	return fmt.Sprintf("%s/%d", topic, partition)
}

func runLoad(path string) {
	text, err := os.ReadFile(path)
	exitOn(err)
	var spec loadSpec
	exitOn(json.Unmarshal(text, &spec))
	file, err := os.Create(spec.History)
	exitOn(err)
	log := &history{out: bufio.NewWriterSize(file, 1<<20)}

	loadCreate(spec)
	fmt.Println("created")
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	var acknowledged atomic.Int64
	var writers, readers sync.WaitGroup
	for _, writer := range spec.Writers {
		if writer.Client != "franz-go" {
			continue
		}
		writers.Add(1)
		go func() {
			defer writers.Done()
			loadWrite(stop, spec, writer, log, &acknowledged)
		}()
	}
	quit, leave := context.WithCancel(context.Background())
	defer leave()
	for reader := 0; reader < spec.Readers; reader++ {
		readers.Add(1)
		go func() {
			defer readers.Done()
			loadRead(quit, spec, fmt.Sprintf("reader-%d", reader), log)
		}()
	}
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			fmt.Println("acknowledged", acknowledged.Load())
		}
	}()

	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch strings.TrimSpace(commands.Text()) {
		case "stop":
			cancel()
			writers.Wait()
			fmt.Println("stopped", acknowledged.Load())
		case "drain":
			leave()
			readers.Wait()
			loadDrain(spec, log)
			log.flush()
			fmt.Println("drained")
			return
		}
	}
	log.flush()
}

func loadOptions(spec loadSpec, more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(spec.Bootstrap),
		kgo.RetryBackoffFn(func(int) time.Duration { return backoff }),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.MetadataMaxAge(10 * time.Second),
		kgo.DialTimeout(2 * time.Second),
	}, more...)
}

// loadCreate makes the topics that are not there yet.
func loadCreate(spec loadSpec) {
	client, err := kgo.NewClient(loadOptions(spec)...)
	exitOn(err)
	defer client.Close()
	for _, topic := range spec.Topics {
		wait, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		answer, err := kadm.NewClient(client).CreateTopic(wait, topic.Partitions, 1, nil, topic.Name)
		cancel()
		if err == nil {
			err = answer.Err
		}
		if !errors.Is(err, kerr.TopicAlreadyExists) {
			exitOn(err)
		}
	}
}

func loadWrite(stop context.Context, spec loadSpec, writer loadWriter, log *history, acknowledged *atomic.Int64) {
	log.write(writerLine{"writer", writer.Name, writer.Idempotent})
	options := loadOptions(spec,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(franzCodec(writer.Codec)),
		kgo.ProducerLinger(time.Millisecond),
		kgo.MaxBufferedRecords(bufferedMost),
		kgo.UnknownTopicRetries(-1),
	)
	if !writer.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if writer.Acks == "1" {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	client, err := kgo.NewClient(options...)
	exitOn(err)
	defer client.Close()

	partitions := map[string]int32{}
	for _, topic := range spec.Topics {
		partitions[topic.Name] = topic.Partitions
	}
	each := max(1, writer.Rate*int(tick/time.Millisecond)/1000)
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	sequence := uint64(0)
	for stop.Err() == nil {
		// A full buffer would make sending wait, and a stop with it.
		for range min(each, bufferedMost-int(client.BufferedProduceRecords())) {
			number := writer.ID<<40 | sequence
			topic := writer.Topics[sequence%uint64(len(writer.Topics))]
			partition := int32(sequence / uint64(len(writer.Topics)) % uint64(partitions[topic]))
			sequence++
			loadSend(client, writer, log, acknowledged, number, topic, partition)
		}
		<-ticks.C
	}
	wait, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	_ = client.Flush(wait) // What is not acknowledged then is reported as unknown by its promise.
}

func loadSend(
	client *kgo.Client, writer loadWriter, log *history, acknowledged *atomic.Int64,
	number uint64, topic string, partition int32,
) {
	record := &kgo.Record{Topic: topic, Partition: partition, Key: []byte(writer.Name), Value: valueOf(number, writer.Size)}
	line := sendLine{F: "send", W: writer.Name, P: place(topic, partition), V: number, T0: now()}
	client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
		line.T1 = now()
		switch {
		case err == nil:
			line.Type, line.Offset = "ok", &record.Offset
			acknowledged.Add(1)
		case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.InvalidRecord):
			line.Type, line.Error = "fail", err.Error()
		default:
			line.Type, line.Error = "info", err.Error()
		}
		log.write(line)
	})
}

func loadStarts(spec loadSpec) map[string]map[int32]kgo.Offset {
	starts := map[string]map[int32]kgo.Offset{}
	for _, topic := range spec.Topics {
		starts[topic.Name] = map[int32]kgo.Offset{}
		for partition := int32(0); partition < topic.Partitions; partition++ {
			starts[topic.Name][partition] = kgo.NewOffset().At(0)
		}
	}
	return starts
}

func loadRead(quit context.Context, spec loadSpec, name string, log *history) {
	client, err := kgo.NewClient(loadOptions(spec,
		kgo.ConsumePartitions(loadStarts(spec)), kgo.FetchMaxWait(100*time.Millisecond))...)
	exitOn(err)
	defer client.Close()
	for quit.Err() == nil {
		began := now()
		fetches := client.PollFetches(quit)
		ended := now()
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			if part.Err != nil && !errors.Is(part.Err, context.Canceled) {
				fmt.Fprintf(os.Stderr, "%s %s/%d: %v\n", name, part.Topic, part.Partition, part.Err)
			}
			if len(part.Records) > 0 {
				log.write(readLine{"poll", name, place(part.Topic, part.Partition), began, ended, numbers(part.Records)})
			}
		})
	}
}

func numbers(records []*kgo.Record) [][2]uint64 {
	out := make([][2]uint64, 0, len(records))
	for _, record := range records {
		out = append(out, [2]uint64{uint64(record.Offset), numberOf(record.Value)})
	}
	return out
}

// loadDrain reads every partition from its start to its end with a client that saw none of the faults.
func loadDrain(spec loadSpec, log *history) {
	client, err := kgo.NewClient(loadOptions(spec,
		kgo.ConsumePartitions(loadStarts(spec)), kgo.FetchMaxWait(50*time.Millisecond))...)
	exitOn(err)
	defer client.Close()
	var names []string
	for _, topic := range spec.Topics {
		names = append(names, topic.Name)
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), names...)
	exitOn(err)
	missing := map[string]int64{}
	read := map[string][][2]uint64{}
	ends.Each(func(end kadm.ListedOffset) {
		exitOn(end.Err)
		name := place(end.Topic, end.Partition)
		read[name] = [][2]uint64{}
		if end.Offset > 0 {
			missing[name] = end.Offset
		}
	})
	for len(missing) > 0 {
		wait, cancel := context.WithTimeout(context.Background(), drainLimit)
		fetches := client.PollFetches(wait)
		cancel()
		if fetches.NumRecords() == 0 {
			fmt.Fprintln(os.Stderr, "the drain makes no progress:", missing, fetches.Errors())
			break
		}
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			name := place(part.Topic, part.Partition)
			read[name] = append(read[name], numbers(part.Records)...)
			if n := len(part.Records); n > 0 && part.Records[n-1].Offset+1 >= missing[name] {
				delete(missing, name)
			}
		})
	}
	for name, records := range read {
		log.write(readLine{F: "drain", P: name, R: records})
	}
}
