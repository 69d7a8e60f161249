// What the two Go clients share: the job they are given, the records, and the check of what comes back.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

const progressTimeout = 30 * time.Second

type topicSpec struct {
	Topic       string   `json:"topic"`
	Codec       string   `json:"codec"`
	Records     string   `json:"records"`
	Partitioner string   `json:"partitioner"`
	GivenTime   bool     `json:"given_time"`
	Window      [2]int64 `json:"window"`
	SeqHeader   bool     `json:"seq_header"`
}

type task struct {
	Role       string      `json:"role"`
	Bootstrap  string      `json:"bootstrap"`
	Partitions int32       `json:"partitions"`
	Records    string      `json:"records"`
	Topics     []topicSpec `json:"topics"`
}

type row struct {
	Key     string `json:"k"`
	Value   string `json:"v"`
	Time    int64  `json:"t"`
	Place   int32  `json:"p"`
	Murmur2 int32  `json:"m"`
}

type result struct {
	Topic   string `json:"topic"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
	Records int    `json:"records"`
	Ms      int64  `json:"ms"`
}

type header struct {
	key   string
	value []byte
}

var loaded = map[string][]row{}

func rowsOf(path string) []row {
	if rows, ok := loaded[path]; ok {
		return rows
	}
	file, err := os.Open(path)
	exitOn(err)
	defer file.Close()
	var rows []row
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r row
		exitOn(json.Unmarshal(lines.Bytes(), &r))
		rows = append(rows, r)
	}
	exitOn(lines.Err())
	loaded[path] = rows
	return rows
}

func headersOf(topic string, index int, withSeq bool) []header {
	headers := []header{{"topic", []byte(topic)}, {"note", []byte("grüße")}}
	if withSeq {
		headers = append(headers, header{"seq", []byte(strconv.Itoa(index))})
	}
	return headers
}

func resultOf(topic string, started time.Time, detail string, records int) result {
	return result{topic, detail == "", detail, records, time.Since(started).Milliseconds()}
}

// topicCheck compares what a consumer reads with what was sent.
type topicCheck struct {
	mutex    sync.Mutex
	spec     topicSpec
	rows     []row
	expected [][]int
	seen     []int64
	ends     []int64
	err      string
	started  time.Time
}

func newCheck(spec topicSpec, partitions int32) *topicCheck {
	check := &topicCheck{spec: spec, rows: rowsOf(spec.Records), started: time.Now()}
	check.expected = make([][]int, partitions)
	check.seen = make([]int64, partitions)
	check.ends = make([]int64, partitions)
	for index, r := range check.rows {
		place := r.Place
		if spec.Partitioner == "murmur2" {
			place = r.Murmur2
		}
		check.expected[place] = append(check.expected[place], index)
	}
	return check
}

func (c *topicCheck) feed(partition int32, offset int64, key, value []byte, headers []header, millis int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	position := c.seen[partition]
	c.seen[partition]++
	if c.err != "" {
		return
	}
	where := fmt.Sprintf("partition %d offset %d", partition, offset)
	if offset != position {
		c.err = fmt.Sprintf("%s: expected offset %d", where, position)
		return
	}
	if position >= int64(len(c.expected[partition])) {
		c.err = where + ": more records than were sent"
		return
	}
	index := c.expected[partition][position]
	want := c.rows[index]
	wantHeaders := headersOf(c.spec.Topic, index, c.spec.SeqHeader)
	switch {
	case string(key) != want.Key:
		c.err = fmt.Sprintf("%s: key %q, expected %q", where, key, want.Key)
	case string(value) != want.Value:
		c.err = fmt.Sprintf("%s: value %q, expected %q", where, value, want.Value)
	case !sameHeaders(headers, wantHeaders):
		c.err = fmt.Sprintf("%s: headers %q", where, headers)
	case c.spec.GivenTime && millis != want.Time:
		c.err = fmt.Sprintf("%s: timestamp %d, expected %d", where, millis, want.Time)
	case !c.spec.GivenTime && (millis < c.spec.Window[0] || millis > c.spec.Window[1]):
		c.err = fmt.Sprintf("%s: timestamp %d outside %v", where, millis, c.spec.Window)
	}
}

func sameHeaders(a, b []header) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].key != b[i].key || !bytes.Equal(a[i].value, b[i].value) {
			return false
		}
	}
	return true
}

func (c *topicCheck) complete() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for partition, end := range c.ends {
		if c.seen[partition] < end {
			return false
		}
	}
	return true
}

func (c *topicCheck) result() result {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var total int64
	for partition, seen := range c.seen {
		total += seen
		want := int64(len(c.expected[partition]))
		if c.err == "" && (seen != want || c.ends[partition] != want) {
			c.err = fmt.Sprintf("partition %d: read %d, end offset %d, sent %d", partition, seen, c.ends[partition], want)
		}
	}
	return resultOf(c.spec.Topic, c.started, c.err, int(total))
}

func checksOf(t task) map[string]*topicCheck {
	checks := map[string]*topicCheck{}
	for _, spec := range t.Topics {
		checks[spec.Topic] = newCheck(spec, t.Partitions)
	}
	return checks
}

func allComplete(checks map[string]*topicCheck) bool {
	for _, check := range checks {
		if !check.complete() {
			return false
		}
	}
	return true
}

func resultsOf(checks map[string]*topicCheck) []result {
	var results []result
	for _, check := range checks {
		results = append(results, check.result())
	}
	sort.Slice(results, func(i, j int) bool { return results[i].Topic < results[j].Topic })
	return results
}

func loadTask(path string) task {
	text, err := os.ReadFile(path)
	exitOn(err)
	var t task
	exitOn(json.Unmarshal(text, &t))
	return t
}

func writeResults(path, client, version string, results []result) {
	text, err := json.Marshal(map[string]any{"client": client, "version": version, "results": results})
	exitOn(err)
	exitOn(os.WriteFile(path, text, 0o644))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
