package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func runFranz(t task) []result {
	switch t.Role {
	case "create":
		franzCreate(t)
		return []result{}
	case "produce":
		franzCreate(t)
		var results []result
		for _, spec := range t.Topics {
			started := time.Now()
			detail := franzProduce(t, spec)
			results = append(results, resultOf(spec.Topic, started, detail, len(rowsOf(t.Records))))
		}
		return results
	default:
		return franzConsume(t)
	}
}

func franzCreate(t task) {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.Bootstrap))
	exitOn(err)
	defer client.Close()
	var names []string
	for _, spec := range t.Topics {
		names = append(names, spec.Topic)
	}
	answers, err := kadm.NewClient(client).CreateTopics(context.Background(), t.Partitions, 1, nil, names...)
	exitOn(err)
	for _, answer := range answers {
		exitOn(answer.Err)
	}
}

func franzCodec(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}

func franzProduce(t task, spec topicSpec) string {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(t.Bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(franzCodec(spec.Codec)),
		kgo.ProducerLinger(5*time.Millisecond),
	)
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	var mutex sync.Mutex
	var first error
	for index, r := range rowsOf(t.Records) {
		record := &kgo.Record{
			Topic: spec.Topic, Key: []byte(r.Key), Value: []byte(r.Value),
			Partition: r.Place, Timestamp: time.UnixMilli(r.Time),
		}
		for _, h := range headersOf(spec.Topic, index, true) {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.key, Value: h.value})
		}
		client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil && first == nil {
				first = err
			}
		})
	}
	wait, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := client.Flush(wait); err != nil {
		return err.Error()
	}
	if first != nil {
		return first.Error()
	}
	return ""
}

func franzConsume(t task) []result {
	checks := checksOf(t)
	starts := map[string]map[int32]kgo.Offset{}
	var names []string
	for _, spec := range t.Topics {
		names = append(names, spec.Topic)
		starts[spec.Topic] = map[int32]kgo.Offset{}
		for partition := int32(0); partition < t.Partitions; partition++ {
			starts[spec.Topic][partition] = kgo.NewOffset().At(0)
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(t.Bootstrap), kgo.ConsumePartitions(starts), kgo.FetchMaxWait(50*time.Millisecond),
	)
	exitOn(err)
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), names...)
	exitOn(err)
	ends.Each(func(o kadm.ListedOffset) { checks[o.Topic].ends[o.Partition] = o.Offset })

	for !allComplete(checks) {
		wait, cancel := context.WithTimeout(context.Background(), progressTimeout)
		fetches := client.PollFetches(wait)
		cancel()
		if fetches.NumRecords() == 0 && len(fetches.Errors()) > 0 {
			for _, check := range checks {
				check.err = fmt.Sprint(fetches.Errors()[0].Err)
			}
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			headers := make([]header, 0, len(r.Headers))
			for _, h := range r.Headers {
				headers = append(headers, header{h.Key, h.Value})
			}
			checks[r.Topic].feed(r.Partition, r.Offset, r.Key, r.Value, headers, r.Timestamp.UnixMilli())
		})
	}
	return resultsOf(checks)
}
