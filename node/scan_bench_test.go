package main

import (
	"fmt"
	"testing"

	"tandem/shard"
)

// benchStore is a store of one shard with so many users, each created and a third of them updated, as the write log
// brings them.
func benchStore(b *testing.B, users int) Store {
	c := Config{Data: b.TempDir(), Shards: 3, CacheMB: 8}
	store, err := openForTest(c)
	if err != nil {
		b.Fatal(err)
	}
	if store, err = addFamilies(store, []int{0}); err != nil {
		b.Fatal(err)
	}
	store.sync.SetSync(false)
	layout, counts, lsn := shard.Layout{Nodes: 3, Shards: 3}, buckets{}, uint64(0)
	write := func(result shard.Result, id int) {
		lsn++
		n := shard.Entry{Result: result, ID: fmt.Sprint("user-", id), Name: "Ada Lovelace", Email: "ada@example.org",
			Epoch: 1, LSN: lsn}
		part := buildPart(layout, 0, store.ids[0], []shard.Entry{n}, lsn == 1, &counts, 1)
		if err := writeBatch(store, joinParts(nil, []Part{part})); err != nil {
			b.Fatal(err)
		}
	}
	for i := range users {
		write(shard.Created, i)
		if i%3 == 0 {
			write(shard.Updated, i)
		}
	}
	return store
}

// BenchmarkOpenScan shows what a page costs: opening a view, all counts of buckets, the count of one, and 100 users.
func BenchmarkOpenScan(b *testing.B) {
	for _, users := range []int{2000, 50000} {
		store := benchStore(b, users)
		b.Run(fmt.Sprint("open/", users), func(b *testing.B) {
			for b.Loop() {
				closeScan(openScan(store, 0))
			}
		})
		b.Run(fmt.Sprint("counts/", users), func(b *testing.B) {
			scan := openScan(store, 0)
			defer closeScan(scan)
			for b.Loop() {
				n := 0
				_ = walkScan(scan, []byte(metaBucket), 0, func(key, value []byte) bool {
					n++
					_, _, ok := readBucket(value)
					return ok && string(key[:2]) == metaBucket
				})
				if n < 200 {
					b.Fatal(n)
				}
			}
		})
		b.Run(fmt.Sprint("one/", users), func(b *testing.B) {
			scan := openScan(store, 0)
			defer closeScan(scan)
			for b.Loop() {
				_ = walkScan(scan, []byte(metaBucket+"\x70"), 0, func(key, value []byte) bool { return false })
			}
		})
		b.Run(fmt.Sprint("rows100/", users), func(b *testing.B) {
			scan := openScan(store, 0)
			defer closeScan(scan)
			for b.Loop() {
				n := 0
				_ = walkScan(scan, []byte("u\x70"), 0, func(_, value []byte) bool {
					n++
					_, _ = decodeValue(value)
					return n < 100
				})
			}
		})
	}
}
