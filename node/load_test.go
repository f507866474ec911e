package main

import (
	"encoding/binary"
	"fmt"
	"testing"

	"tandem/wire"
)

// load lets 64 clients ask three nodes for b.N answers, each client one at a time, made by request from its number.
func load(b *testing.B, request func(n uint64) *wire.Message, want wire.Result) {
	wirings := startCluster(b)
	const clients = 64
	done := make(chan string, clients)
	conns := make([][]client, clients)
	for c := range conns {
		for _, wiring := range wirings {
			conns[c] = append(conns[c], connect(b, wiring))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for c := range clients {
		go func() {
			failed := ""
			for n := c; n < b.N; n += clients {
				m := request(uint64(n))
				if a := conns[c][leaderOf(m.Record.ID)].ask(m); a.Result != want {
					failed = fmt.Sprintf("%+v", a)
				}
			}
			done <- failed
		}()
	}
	for range clients {
		if failed := <-done; failed != "" {
			b.Fatal(failed)
		}
	}
}

func BenchmarkCreatesAt64Clients(b *testing.B) {
	load(b, func(n uint64) *wire.Message {
		m := write(fmt.Sprint("user-", n), wire.Create, 1)
		binary.BigEndian.PutUint64(m.Request[8:], n+1)
		return m
	}, wire.Created)
}

func BenchmarkGetsAt64Clients(b *testing.B) {
	load(b, func(n uint64) *wire.Message {
		m := write(fmt.Sprint("user-", n), wire.Create, 1)
		return &wire.Message{Kind: wire.Get, ID: 1, Shard: m.Shard, Record: m.Record}
	}, wire.Missing)
}
