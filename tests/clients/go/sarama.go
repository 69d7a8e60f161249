package main

import (
	"time"

	"github.com/IBM/sarama"
)

func runSarama(t task) []result {
	if t.Role == "produce" {
		saramaCreate(t)
		var results []result
		for _, spec := range t.Topics {
			started := time.Now()
			detail := saramaProduce(t, spec)
			results = append(results, resultOf(spec.Topic, started, detail, len(rowsOf(t.Records))))
		}
		return results
	}
	return saramaConsume(t)
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.ClientID = "sarama"
	config.ChannelBufferSize = 4096
	return config
}

func saramaCreate(t task) {
	admin, err := sarama.NewClusterAdmin([]string{t.Bootstrap}, saramaConfig())
	exitOn(err)
	defer admin.Close()
	for _, spec := range t.Topics {
		exitOn(admin.CreateTopic(spec.Topic, &sarama.TopicDetail{NumPartitions: t.Partitions, ReplicationFactor: 1}, false))
	}
}

func saramaProduce(t task, spec topicSpec) string {
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.Compression = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[spec.Codec]
	producer, err := sarama.NewAsyncProducer([]string{t.Bootstrap}, config)
	if err != nil {
		return err.Error()
	}
	rows := rowsOf(t.Records)
	go func() {
		for index, r := range rows {
			message := &sarama.ProducerMessage{
				Topic: spec.Topic, Partition: r.Place, Timestamp: time.UnixMilli(r.Time),
				Key: sarama.StringEncoder(r.Key), Value: sarama.StringEncoder(r.Value),
			}
			for _, h := range headersOf(spec.Topic, index, true) {
				message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
			}
			producer.Input() <- message
		}
	}()
	detail := ""
	for range rows {
		select {
		case <-producer.Successes():
		case failure := <-producer.Errors():
			if detail == "" {
				detail = failure.Error()
			}
		case <-time.After(60 * time.Second):
			return "records were not acknowledged in time"
		}
	}
	if err := producer.Close(); err != nil && detail == "" {
		detail = err.Error()
	}
	return detail
}

func saramaConsume(t task) []result {
	config := saramaConfig()
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	client, err := sarama.NewClient([]string{t.Bootstrap}, config)
	exitOn(err)
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	exitOn(err)
	checks := checksOf(t)
	done := make(chan string)
	waiting := 0
	for _, spec := range t.Topics {
		for partition := int32(0); partition < t.Partitions; partition++ {
			end, err := client.GetOffset(spec.Topic, partition, sarama.OffsetNewest)
			exitOn(err)
			checks[spec.Topic].ends[partition] = end
			if end == 0 {
				continue
			}
			reader, err := consumer.ConsumePartition(spec.Topic, partition, 0)
			exitOn(err)
			waiting++
			go saramaRead(reader, checks[spec.Topic], end, done)
		}
	}
	for ; waiting > 0; waiting-- {
		<-done
	}
	return resultsOf(checks)
}

// saramaRead reads one partition to its end, or until it stops making progress.
func saramaRead(reader sarama.PartitionConsumer, check *topicCheck, end int64, done chan<- string) {
	defer func() { reader.AsyncClose(); done <- "" }()
	timer := time.NewTimer(progressTimeout)
	for {
		select {
		case message := <-reader.Messages():
			timer.Reset(progressTimeout)
			headers := make([]header, 0, len(message.Headers))
			for _, h := range message.Headers {
				headers = append(headers, header{string(h.Key), h.Value})
			}
			check.feed(message.Partition, message.Offset, message.Key, message.Value, headers, message.Timestamp.UnixMilli())
			if message.Offset >= end-1 {
				return
			}
		case failure := <-reader.Errors():
			check.mutex.Lock()
			if check.err == "" {
				check.err = failure.Error()
			}
			check.mutex.Unlock()
		case <-timer.C:
			return
		}
	}
}
