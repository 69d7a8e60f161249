// Command clients runs one Go Kafka client on one job: produce, consume, keep up a load and write its history,
// or be a member of a group.
//
//	clients franz-go JOB RESULT
//	clients sarama JOB RESULT
//	clients load SPEC
//	clients member franz-go|sarama BOOTSTRAP GROUP TOPIC
package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: clients franz-go|sarama JOB RESULT, clients load SPEC, or clients member CLIENT BOOTSTRAP GROUP TOPIC")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "franz-go":
		t := loadTask(os.Args[2])
		writeResults(os.Args[3], "franz-go", moduleVersion("github.com/twmb/franz-go"), runFranz(t))
	case "sarama":
		t := loadTask(os.Args[2])
		writeResults(os.Args[3], "sarama", moduleVersion("github.com/IBM/sarama"), runSarama(t))
	case "load":
		runLoad(os.Args[2])
	case "member":
		runMember(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		fmt.Fprintln(os.Stderr, "unknown client", os.Args[1])
		os.Exit(2)
	}
}

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "?"
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "?"
}
