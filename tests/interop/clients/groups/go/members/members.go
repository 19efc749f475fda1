// Package members is what the Go agents for groups share: commands from standard input, events to standard output (../../README.md).
package members

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var output sync.Mutex

// Event is a line with the time in µs since 1970.
func Event(kind, member string, words ...any) string {
	text := fmt.Sprint(time.Now().UnixMicro(), " ", kind, " ", member)
	for _, word := range words {
		text += fmt.Sprint(" ", word)
	}
	return text + "\n"
}

// Say writes whole lines.
func Say(lines string) {
	output.Lock()
	defer output.Unlock()
	if _, err := os.Stdout.WriteString(lines); err != nil {
		os.Exit(1)
	}
}

// SayOwns says which partitions a member has from now on.
func SayOwns(member string, partitions []int32) {
	var words []any
	for _, partition := range slices.Sorted(slices.Values(partitions)) {
		words = append(words, partition)
	}
	Say(Event("owns", member, words...))
}

// Complain is for errors that a member gets over.
func Complain(member string, err error) { fmt.Fprintln(os.Stderr, member, err) }

// Settings of a member; Instance is empty without one. Leaving is done when it is to leave.
type Settings struct {
	Address, Name, Group, Topic, Assignor, Instance string
	Session                                         time.Duration
	Leaving                                         context.Context
}

// Serve runs `member` for each that joins; when it returns, the member has left.
func Serve(member func(Settings) error) {
	leave := map[string]context.CancelFunc{}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.Fields(in.Text())
		if words[0] == "leave" {
			leave[words[1]]()
			continue
		}
		sessionMs, err := strconv.Atoi(words[6])
		if err != nil {
			panic(err)
		}
		given := Settings{Address: os.Args[1], Name: words[1], Group: words[2], Topic: words[3], Assignor: words[4],
			Session: time.Duration(sessionMs) * time.Millisecond}
		if words[5] != "-" {
			given.Instance = words[5]
		}
		given.Leaving, leave[given.Name] = context.WithCancel(context.Background())
		go func() {
			if err := member(given); err != nil {
				Say(Event("failed", given.Name, strings.ReplaceAll(err.Error(), "\n", " ")))
			} else {
				Say(Event("left", given.Name))
			}
		}()
	}
}
